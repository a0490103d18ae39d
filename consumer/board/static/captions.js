// Captions come beside the page, for their records must be fetched; they are asked for again while the broker is away.

const AGAIN = 3000;

async function ask(caption, address, none) {
  let again = true;
  try {
    const answer = await fetch(address);
    again = answer.status === 503;
    if (!again) caption.textContent = (await answer.text()) || none;
  } catch {
    // the board does not answer
  }
  if (again) setTimeout(() => caption.isConnected && ask(caption, address, none), AGAIN);
}

export function tell(caption, none = "") {
  const address = caption.dataset.src;
  delete caption.dataset.src; // each is asked for once
  ask(caption, address, none);
}
