// The simulator's page: the list of events, newest first, and the story of the one that is chosen.

"use strict";

const AGAIN = 3000;

let events = [];
let calls = [];
const details = new EventDetails(close, sendAgain);
const side = new Side();

function shown() {
  const rows = events.map((event) => {
    const row = el("tr", { id: `event-${event.number}`, "aria-selected": String(event.number === details.number) },
      el("td", null, clock(event.began)),
      el("td", { class: "kind" }, kindOf(event)),
      el("td", { class: "name", title: subjectOf(event) }, subjectOf(event),
        event.again ? el("span", { class: "again-of" }, `event ${event.again} again`) : null),
      el("td", { class: "number" }, callsOf(event, calls).inside.length || "–"),
      el("td", { class: "status" }, reply(event)),
      el("td", { class: "number" }, event.milliseconds === null ? "…" : duration(event.milliseconds / 1000)));
    return on(row, "click", () => choose(event.number));
  }).reverse();
  const body = byId("list").tBodies[0];
  body.replaceChildren(...rows);
  byId("list").setAttribute("aria-rowcount", String(rows.length + 1));
  byId("empty").hidden = rows.length > 0;
  fill(byId("count"), rows.length ? plural(rows.length, "event") : "");
  const chosen = events.find(({ number }) => number === details.number);
  if (chosen) details.show(chosen, calls);
  else if (details.number !== null) close();
}

function reply(event) {
  if (event.failure) return el("span", { class: "s5", title: event.failure }, "failed");
  return el("span", { class: `s${Math.floor(event.status / 100)}` }, event.status || "–");
}

function choose(number) {
  const event = events.find((one) => one.number === number);
  if (!event) return;
  details.show(event, calls);
  for (const row of byId("list").tBodies[0].rows) row.setAttribute("aria-selected", String(row.id === `event-${number}`));
  byId("list").setAttribute("aria-activedescendant", `event-${number}`);
  byId(`event-${number}`).scrollIntoView({ block: "nearest" });
}

function close() {
  details.close();
  for (const row of byId("list").tBodies[0].rows) row.setAttribute("aria-selected", "false");
}

async function sendAgain(event) {
  const answer = await fetch(`/_simulator/events/${event.number}/send`, { method: "POST", cache: "no-store" });
  const sent = await answer.json();
  if (answer.ok) {
    await refresh();
    choose(sent.number);
  }
}

async function refresh() {
  take(await (await fetch("/_simulator/events", { cache: "no-store" })).json());
}

function take(told) {
  ({ events, calls } = told);
  shown();
}

function move(step) {
  const numbers = events.map(({ number }) => number).reverse();
  const at = numbers.indexOf(details.number);
  if (numbers.length) choose(numbers[at < 0 ? 0 : Math.min(numbers.length - 1, Math.max(0, at + step))]);
}

function tell(state) {
  byId("link").dataset.state = state;
  fill(byId("link"), state);
}

function connect() {
  const source = new EventSource("/_simulator/events/stream");
  on(source, "message", ({ data }) => take(JSON.parse(data)));
  on(source, "open", () => {
    tell("live");
    side.refresh();
  });
  on(source, "error", () => {
    tell("reconnecting");
    source.close();
    setTimeout(connect, AGAIN);
  });
}

const KEYS = { j: () => move(1), ArrowDown: () => move(1), k: () => move(-1), ArrowUp: () => move(-1), Escape: close };
on(document, "keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  if (!Object.hasOwn(KEYS, event.key)) return;
  event.preventDefault();
  KEYS[event.key]();
});

connect();
