// Keeps the figures fresh: what has not changed is left alone, so that nobody loses the place they read at.

const EVERY = 3000;
const ROOT = document.documentElement.dataset.root;
const figures = document.getElementById("figures");
const said = document.getElementById("said");
let shown = null;

async function refresh() {
  try {
    const answer = await fetch(`${ROOT}/cities/figures${location.search}`, { cache: "no-store" });
    const told = answer.ok ? await answer.json() : null;
    if (told) {
      document.getElementById("rate").textContent = told.rate;
      document.getElementById("age").textContent = told.age;
    }
    if (told && told.figures !== shown) {
      const before = document.activeElement;
      const path = before && figures.contains(before) ? before.getAttribute("href") || before.getAttribute("aria-label") : null;
      const left = [...figures.querySelectorAll(".scroll")].map((each) => each.scrollLeft);
      figures.innerHTML = told.figures; // rendered and escaped by the board
      [...figures.querySelectorAll(".scroll")].forEach((each, i) => { each.scrollLeft = left[i] || 0; });
      if (path) {
        [...figures.querySelectorAll("a, .scroll")]
          .find((each) => (each.getAttribute("href") || each.getAttribute("aria-label")) === path)?.focus({ preventScroll: true });
      }
      shown = told.figures;
    }
    if (said.textContent) said.textContent = "";
  } catch {
    said.textContent = "The board does not answer; trying again.";
    said.className = "notice";
    setTimeout(refresh, EVERY);
    return;
  }
  said.className = "unseen";
  setTimeout(refresh, EVERY);
}

setTimeout(refresh, EVERY);
