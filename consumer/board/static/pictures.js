// Pictures that cannot be loaded say why, in words, and are tried again while the broker is away.

const AGAIN = 3000;

async function explain(image) {
  let text = "The picture cannot be loaded.";
  let again = true;
  image.dataset.tried = Number(image.dataset.tried || 0) + 1;
  try {
    const answer = await fetch(image.src, { cache: "no-store" });
    if (answer.ok && Number(image.dataset.tried) < 10) {
      image.src = `${image.src.split("#")[0]}#${Date.now()}`;
      return;
    }
    if (!answer.ok) text = await answer.text();
    again = answer.status === 503;
  } catch {
    text = "The board does not answer; trying again.";
  }
  const frame = image.parentElement;
  if (!frame) return;
  let said = frame.querySelector(".gone");
  if (!said) {
    said = document.createElement("span");
    said.className = "gone";
    frame.append(said);
  }
  said.textContent = text;
  image.hidden = true;
  if (again) setTimeout(() => image.isConnected && explain(image), AGAIN);
}

function loaded(image) {
  delete image.dataset.tried;
  image.hidden = false;
  image.parentElement?.querySelector(".gone")?.remove();
}

export function watch(root) {
  root.addEventListener("error", (event) => event.target.matches("img") && explain(event.target), true);
  root.addEventListener("load", (event) => event.target.matches("img") && loaded(event.target), true);
  for (const image of root.querySelectorAll("img")) {
    if (image.complete && !image.naturalWidth) explain(image);
  }
}
