// The wall: cards come by server-sent events, rendered and escaped by the board. It holds still while somebody looks.

import { tell } from "./captions.js";
import { watch } from "./pictures.js";

const wall = document.getElementById("wall");
const form = document.getElementById("filter");
const notice = document.getElementById("notice");
const said = document.getElementById("said");
const pause = document.getElementById("pause");
const held = document.getElementById("held");
const empty = document.getElementById("empty");
const MOST = Number(wall.dataset.most);
const ROOT = document.documentElement.dataset.root;
const SAY_EVERY = 20000; // a screen reader is told no more often what came
const SILENT_AFTER = 5000;

let source = null;
let waiting = []; // cards that came while the wall was held, newest first; never more than fit
let missed = 0;
let came = 0;
let last = "";
let heardAt = Date.now();
let isFresh = true; // the next event is the first of its stream
let holds = new Set();

const parse = (html) => {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content.firstElementChild;
};

function put(cards) {
  const fresh = cards.filter((card) => !document.getElementById(card.id));
  wall.prepend(...fresh);
  while (wall.children.length > MOST) wall.lastElementChild.remove();
  for (const caption of wall.querySelectorAll(".caption[data-src]")) tell(caption);
  empty.hidden = wall.children.length > 0;
  return fresh.length;
}

function hold(why, on) {
  if (on) holds.add(why);
  else holds.delete(why);
  if (!holds.size) {
    put(waiting);
    waiting = [];
    missed = 0;
  }
  show();
}

function show() {
  held.hidden = !(holds.size && missed);
  document.getElementById("held-text").textContent =
    missed === 1 ? "1 newer post waits" : `${missed.toLocaleString("en")} newer posts wait`;
}

function say(trouble) {
  if (notice.textContent !== (trouble || "")) notice.textContent = trouble || "";
  notice.hidden = !trouble;
}

function choices(name, values) {
  const select = form.elements[name];
  const chosen = select.value;
  const fixed = [...select.options].filter((option) => "fixed" in option.dataset); // a city may have any name
  const options = values.map(([value, text]) => new Option(text, value));
  if (chosen && ![...fixed, ...options].some((option) => option.value === chosen)) {
    options.push(new Option(select.selectedOptions[0].text, chosen));
  }
  select.replaceChildren(...fixed, ...options);
  select.value = chosen;
}

function take(event) {
  heardAt = Date.now();
  const told = JSON.parse(event.data);
  document.getElementById("rate").textContent = told.rate;
  document.getElementById("age").textContent = told.age;
  say(told.trouble);
  if (told.cities && document.activeElement !== form.elements.city) choices("city", told.cities.map((city) => [city, city]));
  if (told.places && document.activeElement !== form.elements.place) choices("place", told.places);
  const cards = told.cards.map(parse);
  if (isFresh) isFresh = false;
  else if (cards.length) {
    came += cards.length;
    last = cards[0].dataset.says;
  }
  if (holds.size && wall.children.length) {
    const fresh = cards.filter((card) => !document.getElementById(card.id) && !waiting.some((one) => one.id === card.id));
    waiting = [...fresh, ...waiting].slice(0, MOST);
    missed += fresh.length;
    show();
  } else put(cards);
}

function open() {
  source?.close();
  isFresh = true;
  source = new EventSource(`${ROOT}/events${location.search}`);
  source.onmessage = take;
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED && !document.hidden) setTimeout(open, 3000);
  };
}

function choose() {
  const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value)).toString();
  history.replaceState(null, "", query ? `${ROOT}/?${query}` : `${ROOT}/`);
  document.getElementById("clear").hidden = !query;
  const [large, small] = empty.querySelectorAll("p");
  large.textContent = query ? "No post on the wall fits this filter yet." : "No post has been labelled yet.";
  small.textContent = query
    ? "The next one that does appears here by itself."
    : "The next one appears here by itself; nothing needs to be reloaded.";
  waiting = [];
  missed = 0;
  wall.replaceChildren();
  empty.hidden = true; // until the board says so
  show();
  open();
}

form.addEventListener("change", choose);
form.addEventListener("submit", (event) => { event.preventDefault(); choose(); });
document.getElementById("clear").addEventListener("click", (event) => {
  event.preventDefault();
  for (const select of form.elements) if (select.tagName === "SELECT") select.selectedIndex = 0;
  form.elements.city.focus();
  choose();
});

wall.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && hold("pointer", true));
wall.addEventListener("pointerleave", () => hold("pointer", false));
wall.addEventListener("focusin", () => hold("focus", true));
wall.addEventListener("focusout", (event) => wall.contains(event.relatedTarget) || hold("focus", false));
pause.addEventListener("click", () => {
  const on = pause.getAttribute("aria-pressed") !== "true";
  pause.setAttribute("aria-pressed", String(on));
  hold("button", on);
});

setInterval(() => {
  if (!came || holds.size) return;
  said.textContent = `${came === 1 ? "One new post" : `${came} new posts`}; the latest: ${last}.`;
  came = 0;
}, SAY_EVERY);
// A browser opens few connections to one address: a tab that nobody sees lets go of its own.
document.addEventListener("visibilitychange", () => {
  heardAt = Date.now();
  if (document.hidden) source?.close();
  else open();
});
setInterval(() => {
  if (!document.hidden && Date.now() - heardAt > SILENT_AFTER) say("The board does not answer. This page keeps trying.");
}, 1000);

watch(wall);
put([]);
if (!document.hidden) open();
