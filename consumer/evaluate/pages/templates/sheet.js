"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const readable = new Map(data.places.map(([category, name]) => [category, name]));
  const hints = new Map(data.places.map(([category, , hint]) => [category, hint]));
  const COLUMNS = ["post_id", "city", "stratum", "prelabel", "labels", "right", "wrong", "true_places", "no_place", "cannot_tell", "mood"];

  let at = 0;
  let marks = new Map(); // post id -> {judged: {label: "right" | "wrong"}, truths: [category], none, unsure, mood}
  let stored = true;
  let dirty = false; // marks that no CSV holds yet, for browsers that keep nothing
  const past = []; // what undo goes back to: {at, marks}

  // ---- marks ---------------------------------------------------------------------------------------------------

  const empty = () => ({ judged: {}, truths: [], none: false, unsure: false, mood: "" });
  const of = (post) => marks.get(post.id) || empty();
  const isMarked = (mark) => Object.keys(mark.judged).length > 0 || mark.truths.length > 0 || mark.none || mark.unsure || Boolean(mark.mood);
  const isFinished = (post) => {
    const mark = of(post);
    const isJudged = mark.none || mark.unsure || mark.truths.length > 0 || post.labels.every((label) => mark.judged[label]);
    return isJudged && (!post.mood || Boolean(mark.mood));
  };

  function change(said, alter) {
    const post = data.posts[at];
    past.push({ at, marks: new Map(marks) });
    const mark = structuredClone(of(post));
    alter(mark, post);
    if (isMarked(mark)) marks.set(post.id, mark);
    else marks.delete(post.id);
    save();
    show();
    say(said);
  }

  function judge(label, verdict) {
    const again = of(data.posts[at]).judged[label] === verdict;
    change(`${readable.get(label) || label}: ${again ? "no mark" : verdict}`, (mark) => {
      mark.unsure = false;
      if (again) delete mark.judged[label];
      else mark.judged[label] = verdict;
      if (!again && verdict === "right") mark.none = false;
      if (again || verdict === "wrong") mark.truths = mark.truths.filter((place) => place !== label);
    });
  }

  function restAreWrong() {
    if (byId("rest").disabled) return;
    change("all others: wrong", (mark, post) => {
      mark.unsure = false;
      for (const label of post.labels) if (!mark.judged[label]) mark.judged[label] = "wrong";
    });
  }

  function instead(what, said) { // of every other mark
    const again = of(data.posts[at])[what];
    change(again ? "no mark" : said, (mark) => Object.assign(mark, empty(), { mood: mark.mood, [what]: !again }));
  }

  function setMood(mood) {
    if (!data.posts[at].mood) return;
    const again = of(data.posts[at]).mood === mood;
    change(again ? "no mood" : `the caption is ${mood}`, (mark) => { mark.mood = again ? "" : mood; });
  }
  const showsNoPlace = () => instead("none", "shows no place");
  const cannotTell = () => instead("unsure", "cannot tell");

  function addTruth(category) {
    change(`it shows: ${readable.get(category)}`, (mark, post) => {
      mark.none = mark.unsure = false;
      if (!mark.truths.includes(category)) mark.truths.push(category);
      if (post.labels.includes(category)) mark.judged[category] = "right";
    });
  }

  function removeTruth(category) {
    change(`no longer: ${readable.get(category)}`, (mark) => {
      mark.truths = mark.truths.filter((place) => place !== category);
    });
  }

  function undo() {
    const before = past.pop();
    if (!before) return say("nothing to undo");
    marks = before.marks;
    at = before.at;
    save();
    show();
    say("undone");
  }

  // ---- keeping them --------------------------------------------------------------------------------------------

  function save() {
    dirty = true;
    try {
      localStorage.setItem(data.key, JSON.stringify([...marks]));
    } catch {
      if (stored) complain("This browser keeps no marks for this page: save them as CSV before you close it.");
      stored = false;
    }
  }

  function restore() {
    try {
      const kept = localStorage.getItem(data.key);
      if (kept) marks = new Map(JSON.parse(kept).map(([id, mark]) => [id, Object.assign(empty(), mark)]));
    } catch {
      complain("This browser keeps no marks for this page: save them as CSV before you close it.");
      stored = false;
    }
  }

  const formula = /^'*[=+\-@\t\r]/; // what a spreadsheet would compute
  const yes = (field) => data.yes.includes((field || "").trim().toLowerCase());

  function quoted(text) {
    const field = formula.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
  }

  const unquoted = (field) => (field.startsWith("'") && formula.test(field) ? field.slice(1) : field);

  function toCsv() {
    const rows = data.posts.map((post) => {
      const mark = of(post);
      const judgedAs = (verdict) => post.labels.filter((label) => mark.judged[label] === verdict).join("|");
      return [post.id, post.city, post.stratum, post.prelabel, post.labels.join("|"), judgedAs("right"), judgedAs("wrong"),
        mark.truths.join("|"), mark.none ? data.yes[0] : "", mark.unsure ? data.yes[0] : "", mark.mood];
    });
    return `${data.first}\n${[COLUMNS, ...rows].map((row) => row.map(quoted).join(",")).join("\n")}\n`;
  }

  function exportCsv() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob(["\ufeff", toCsv()], { type: "text/csv" }));
    link.download = `sheet-${data.sample.slice(0, 8)}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    dirty = false;
    say(`saved as ${link.download}`);
  }

  function parseCsv(text, delimiter) {
    const rows = [];
    let row = [], field = "", inside = false;
    for (let i = 0; i < text.length; i++) {
      const c = text[i];
      if (inside) {
        if (c === '"' && text[i + 1] === '"') { field += '"'; i++; }
        else if (c === '"') inside = false;
        else field += c;
      } else if (c === '"') inside = true;
      else if (c === delimiter) { row.push(field); field = ""; }
      else if (c === "\n") { row.push(field); rows.push(row); row = []; field = ""; }
      else if (c !== "\r") field += c;
    }
    if (field || row.length) { row.push(field); rows.push(row); }
    return rows;
  }

  function importCsv(text) {
    const [first, ...lines] = text.replace(/^\ufeff/, "").split("\n");
    const sample = /^"?# placestream sheet 1 sample=([0-9a-f]+)/.exec(first);
    if (!sample) throw new Error("it is not a sheet of this kind (its first line must begin with # placestream sheet 1).");
    if (sample[1] !== data.sample) throw new Error("it is the sheet of another sample.");
    const fields = (delimiter) => lines[0].trim().split(delimiter).length;
    const delimiter = [",", ";", "\t"].reduce((best, each) => (fields(each) > fields(best) ? each : best));
    const [header, ...rows] = parseCsv(lines.join("\n"), delimiter);
    const column = Object.fromEntries(COLUMNS.map((name) => [name, header.indexOf(name)]));
    const missing = COLUMNS.filter((name) => column[name] < 0 && name !== "mood"); // sheets of before lack it
    if (missing.length) throw new Error(`it has no column ${missing.join(", ")}.`);
    const posts = new Map(data.posts.map((post) => [post.id, post]));
    const loaded = new Map(marks);
    let count = 0;
    for (const row of rows) {
      const post = posts.get(unquoted(row[column.post_id] || ""));
      if (!post) continue;
      const list = (name) => unquoted(row[column[name]] || "").split("|").filter(Boolean);
      const mark = empty();
      for (const label of list("wrong")) if (post.labels.includes(label)) mark.judged[label] = "wrong";
      for (const label of list("right")) if (post.labels.includes(label)) mark.judged[label] = "right";
      mark.truths = list("true_places").filter((place) => readable.has(place));
      mark.none = yes(row[column.no_place]);
      mark.unsure = yes(row[column.cannot_tell]);
      const mood = (row[column.mood] || "").trim().toLowerCase();
      if (data.moods.includes(mood)) mark.mood = mood;
      if (isMarked(mark)) { loaded.set(post.id, mark); count++; } // an unmarked row takes nothing back: halves can be joined
    }
    past.push({ at, marks });
    marks = loaded;
    save();
    show();
    say(`loaded the marks of ${count} posts (undo takes them back)`);
  }

  // ---- what one sees -------------------------------------------------------------------------------------------

  function element(name, properties, ...children) {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  }

  function verdictButton(label, verdict, number) {
    const sign = element("span", { className: "sign" }, verdict === "right" ? "✓" : "✗");
    sign.setAttribute("aria-hidden", "true");
    const button = element("button", { type: "button", className: verdict }, sign, verdict === "right" ? " Right" : " Wrong");
    button.setAttribute("aria-label", `${readable.get(label) || label} is ${verdict}`);
    if (number <= 9) button.setAttribute("aria-keyshortcuts", verdict === "right" ? `${number}` : `Shift+${number}`);
    button.dataset.label = label;
    button.dataset.verdict = verdict;
    button.addEventListener("click", () => judge(label, verdict));
    return button;
  }

  let shownPost = null;

  function showPost(post) {
    const picture = byId("picture");
    picture.width = post.width;
    picture.height = post.height;
    picture.src = post.picture;
    picture.alt = `picture of post ${at + 1}`;
    byId("caption").textContent = post.caption || "no caption";
    byId("caption").classList.toggle("empty", !post.caption);
    byId("labels").replaceChildren(...post.labels.map((label, number) => {
      const name = element("span", { className: "name" }, readable.get(label) || label);
      if (hints.get(label)) name.append(element("small", {}, hints.get(label)));
      const key = element("kbd", {}, number < 9 ? String(number + 1) : "");
      const group = element("div", { className: "label" }, key, name, verdictButton(label, "right", number + 1), verdictButton(label, "wrong", number + 1));
      group.setAttribute("role", "group");
      group.setAttribute("aria-label", readable.get(label) || label);
      return group;
    }));
    byId("true").value = "";
    byId("rest").hidden = post.labels.length < 2;
    if (byId("moods")) byId("moods").hidden = !post.mood;
    const next = data.posts[at + 1];
    if (next) new Image().src = next.picture;
    shownPost = post;
  }

  function show() {
    const post = data.posts[at];
    if (post !== shownPost) showPost(post);
    const mark = of(post);
    for (const button of document.querySelectorAll("button[data-verdict]"))
      button.setAttribute("aria-pressed", mark.judged[button.dataset.label] === button.dataset.verdict);
    byId("none").setAttribute("aria-pressed", mark.none);
    byId("unsure").setAttribute("aria-pressed", mark.unsure);
    for (const button of document.querySelectorAll("button[data-mood]"))
      button.setAttribute("aria-pressed", mark.mood === button.dataset.mood);
    byId("truths").replaceChildren(...mark.truths.map((place) => {
      const remove = element("button", { type: "button" }, "×");
      remove.setAttribute("aria-label", `remove ${readable.get(place)}`);
      remove.addEventListener("click", () => removeTruth(place));
      return element("li", {}, readable.get(place), remove);
    }));
    const finished = data.posts.filter(isFinished).length;
    const begun = data.posts.filter((each) => !isFinished(each) && isMarked(of(each))).length;
    byId("bar").value = finished;
    byId("count").textContent = `${finished} of ${data.posts.length} posts finished${begun ? `, ${begun} begun` : ""}`;
    byId("where").textContent = `Post ${at + 1} of ${data.posts.length} · ${post.city} · ${isFinished(post) ? "finished" : isMarked(mark) ? "begun" : "no mark yet"}`;
    byId("previous").disabled = at === 0;
    byId("next").disabled = at === data.posts.length - 1;
    byId("forward").disabled = finished === data.posts.length;
    byId("rest").disabled = post.labels.every((label) => mark.judged[label]) || mark.none;
    byId("undo").disabled = past.length === 0;
  }

  function go(to) {
    if (to < 0 || to >= data.posts.length) return;
    at = to;
    show();
    byId("said").textContent = "";
    window.scrollTo(0, 0);
  }

  function goForward() {
    const order = data.posts.map((_, number) => (at + 1 + number) % data.posts.length);
    const to = order.find((number) => !isFinished(data.posts[number]));
    if (to === undefined) say("every post is finished: save the marks");
    else go(to);
  }

  let saidAt = 0;
  function say(text) {
    byId("said").textContent = text;
    clearTimeout(saidAt);
    saidAt = setTimeout(() => { byId("said").textContent = ""; }, 5_000);
  }

  function complain(text) {
    byId("notice").textContent = text;
    byId("notice").hidden = !text;
  }

  function enlarge() {
    byId("large-picture").src = byId("picture").src;
    byId("large-picture").alt = byId("picture").alt;
    byId("large-picture").classList.remove("twice");
    byId("large").showModal();
  }

  // ---- what one does -------------------------------------------------------------------------------------------

  const onClick = {
    undo, export: exportCsv, rest: restAreWrong, none: showsNoPlace, unsure: cannotTell, forward: goForward, zoom: enlarge,
    previous: () => go(at - 1), next: () => go(at + 1), small: () => byId("large").close(), help: () => byId("keys").showModal(),
    clear: () => {
      if (!marks.size || !confirm(`Take back the marks of all ${marks.size} posts?`)) return;
      past.push({ at, marks });
      marks = new Map();
      save();
      show();
      say("all marks are cleared (undo takes them back)");
    },
  };
  for (const button of document.querySelectorAll("button[data-mood]"))
    button.addEventListener("click", () => setMood(button.dataset.mood));
  for (const [id, act] of Object.entries(onClick)) byId(id).addEventListener("click", () => act());

  byId("large-picture").addEventListener("click", (event) => {
    const picture = event.currentTarget, box = picture.getBoundingClientRect();
    picture.style.transformOrigin = `${(100 * (event.clientX - box.left)) / box.width}% ${(100 * (event.clientY - box.top)) / box.height}%`;
    picture.classList.toggle("twice");
  });

  byId("import").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (!file) return;
    try {
      importCsv(await file.text());
      complain("");
    } catch (error) {
      complain(`${file.name} was not loaded: ${error.message}`);
    }
    event.target.value = "";
  });

  const known = new Map(data.places.flatMap(([category, name]) => [[category, category], [name.toLowerCase(), category]]));
  byId("places").append(...data.places.map(([, name]) => element("option", { value: name })));
  byId("true-form").addEventListener("submit", (event) => {
    event.preventDefault();
    const typed = byId("true").value.trim().toLowerCase();
    if (!typed) return;
    const category = known.get(typed);
    if (!category) return say(`there is no place ${byId("true").value.trim()} in the list`);
    byId("true").value = "";
    addTruth(category);
  });
  byId("true").addEventListener("keydown", (event) => {
    if (event.key === "Escape") byId("true").blur();
  });

  const onKey = {
    ArrowLeft: onClick.previous, ArrowRight: onClick.next, f: goForward, w: restAreWrong, n: showsNoPlace, c: cannotTell,
    u: undo, z: enlarge, t: () => byId("true").focus(), j: () => setMood("negative"), k: () => setMood("neutral"), l: () => setMood("positive"), "?": onClick.help,
  };
  document.addEventListener("keydown", (event) => {
    const open = document.querySelector("dialog[open]");
    if (open) {
      if (open.id === "large" && event.key.toLowerCase() === "z") { event.preventDefault(); open.close(); }
      return;
    }
    if (event.target.id === "true" || event.altKey) return;
    if (event.ctrlKey || event.metaKey) {
      if (event.key.toLowerCase() === "z") { event.preventDefault(); undo(); }
      return;
    }
    const digit = /^(?:Digit|Numpad)([1-9])$/.exec(event.code); // by place on the keyboard: shifted digits differ by country
    const label = digit && data.posts[at].labels[digit[1] - 1];
    if (label) judge(label, event.shiftKey ? "wrong" : "right");
    const act = digit ? null : onKey[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (act) act();
    if (label || act) event.preventDefault();
  });

  window.addEventListener("storage", (event) => { // marked in another tab
    if (event.key === data.key) { restore(); show(); }
  });
  window.addEventListener("beforeunload", (event) => {
    if (!stored && dirty && marks.size) event.preventDefault();
  });

  restore();
  const first = data.posts.findIndex((post) => !isFinished(post));
  at = first < 0 ? 0 : first;
  if (data.posts.length) show();
  else complain("This sample has no posts.");
})();
