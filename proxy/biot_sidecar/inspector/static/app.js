// The inspector's page: puts its parts together and listens to the keyboard.

"use strict";

const filter = byId("filter");
const keys = byId("keys");
const explain = new Explain();
const details = new Details(closeDetails, (record) => explain.begin(record), () => list.records);
const list = new RequestList((record) => details.show(record), () => setFilter(""));
const stream = new Stream(list);

function setFilter(text) {
  filter.value = text;
  list.filter(compile(text), text.trim() !== "");
}

function closeDetails() {
  details.close();
  byId("list").focus({ preventScroll: true });
}

function move(step) {
  const record = list.move(step);
  byId("list").focus({ preventScroll: true });
  if (record && details.open) details.show(record);
}

function pause() {
  stream.pause(!stream.paused);
  byId("pause").setAttribute("aria-pressed", String(stream.paused));
  byId("pause").textContent = stream.paused ? "Resume" : "Pause";
}

function clear() {
  stream.clear();
  details.close();
}

const SHORTCUTS = {
  j: () => move(1),
  ArrowDown: () => move(1),
  k: () => move(-1),
  ArrowUp: () => move(-1),
  Home: () => move(-Infinity),
  End: () => move(Infinity),
  Enter: () => list.selected && details.show(list.selected),
  Escape: () => details.open && closeDetails(),
  "/": () => filter.select(),
  e: () => explain.begin(list.selected),
  p: pause,
  c: clear,
  "?": () => keys.showModal(),
};

on(document, "keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || keys.open) return;
  const { target, key } = event;
  if (target.matches("input, select, textarea")) {
    if (key === "Escape") leave(target);
    return;
  }
  // A focused button keeps its Enter.
  if (!Object.hasOwn(SHORTCUTS, key) || (key === "Enter" && target.matches("button"))) return;
  event.preventDefault();
  SHORTCUTS[key]();
});

function leave(field) {
  if (field === filter && filter.value) setFilter("");
  else byId("list").focus({ preventScroll: true });
}

on(filter, "input", () => setFilter(filter.value));
on(byId("pause"), "click", pause);
on(byId("clear"), "click", clear);
on(byId("help"), "click", () => keys.showModal());
fill(byId("colours"), ...legend());
new Panels((name) => setFilter(`rule:"${name}"`)).run();
