// One event as a story: what caused it, the event, the plugin's calls inside it, its reply, and how long each took.

"use strict";

const KINDS = {
  NOTIFICATION: "notification",
  INTERCEPTOR_PRE: "before the call",
  INTERCEPTOR_POST: "after the call",
  INTERCEPTOR_POST_ENTITY: "adapts entities",
};

const kindOf = (event) => KINDS[event.hookType] ?? event.hookType;
const subjectOf = (event) => event.name.slice(event.hookType.length).trim().replace(/^([A-Z]+)\//, "$1 /");
const failed = (event) => event.failure !== "" || event.status >= 400;

/** The calls of an event's trace: those before it, those inside it, those after its reply. */
function callsOf(event, calls) {
  const { began } = event;
  const ended = event.milliseconds === null ? Infinity : began + event.milliseconds / 1000;
  const parts = { before: [], inside: [], after: [] };
  for (const call of calls.filter(({ traceId }) => traceId === event.traceId)) {
    parts[call.began <= began ? "before" : call.began <= ended ? "inside" : "after"].push(call);
  }
  return parts;
}

function storyOf(event, calls) {
  const { before, inside, after } = callsOf(event, calls);
  const { began } = event;
  const since = (at) => `${at < began ? "−" : "+"}${duration(Math.abs(at - began))}`;
  const call = (kind, note) => (one) =>
    el("li", { class: `call ${kind}${one.status >= 400 ? " failed" : ""}` },
      el("span", { class: "when" }, since(one.began)),
      el("span", { class: "what" }, el("b", null, one.method), " ", one.path, " ",
        el("span", { class: `s${Math.floor(one.status / 100)}` }, one.status || "no answer yet"), " ",
        el("span", { class: "note" }, note)),
      el("span", { class: "took" }, duration(one.milliseconds / 1000)));
  return el("ol", { class: "story", "aria-label": "What happened, in order" },
    ...before.map(call("cause", "the call behind it")),
    el("li", { class: "event" }, el("span", { class: "when" }, clock(began)),
      el("span", { class: "what" }, el("b", null, kindOf(event), " ", subjectOf(event)), " → ", event.url), el("span", { class: "took" }, "")),
    ...inside.map(call("inside", "")),
    replyOf(event, since),
    ...after.map(call("after", "after the reply")));
}

function replyOf(event, since) {
  if (event.milliseconds === null) {
    return el("li", { class: "reply" }, el("span", { class: "when" }, ""), el("span", { class: "what" }, "no reply yet"), el("span", { class: "took" }, ""));
  }
  const words = event.failure ? el("span", { class: "s5" }, event.failure)
    : el("span", null, "the plugin replied ", el("span", { class: `s${Math.floor(event.status / 100)}` }, event.status));
  return el("li", { class: failed(event) ? "reply failed" : "reply" },
    el("span", { class: "when" }, since(event.began + event.milliseconds / 1000)),
    el("span", { class: "what" }, words),
    el("span", { class: "took" }, duration(event.milliseconds / 1000)));
}

function json(value) {
  const block = el("pre", { tabindex: "0" });
  block.textContent = JSON.stringify(value, null, 2).split("\n").map(visible).join("\n");
  return block;
}

/** A text that looks like a JWT, shown in short: it is long, and says nothing to people. */
const shortened = (name, value) =>
  typeof value === "string" && JWT.test(value) ? `${value.slice(0, 20)}…` : value;

const pretty = (value) => JSON.parse(JSON.stringify(value, shortened));

class EventDetails {
  #pane = byId("details");
  #number = null;
  #shown = "";
  #closed;
  #sendAgain;

  /** `closed()` is called when the pane is to close, `sendAgain(event)` when the event is to be sent once more. */
  constructor(closed, sendAgain) {
    this.#closed = closed;
    this.#sendAgain = sendAgain;
  }

  get number() {
    return this.#number;
  }

  show(event, calls) {
    const now = JSON.stringify([event, calls.filter(({ traceId }) => traceId === event.traceId)]);
    if (now === this.#shown) return; // nothing new: what is selected in it stays so
    const fresh = this.#number !== event.number;
    this.#number = event.number;
    this.#shown = now;
    const place = el("div", { class: "copied" });
    const again = on(el("button", { type: "button" }, "Send again"), "click", () => this.#sendAgain(event));
    const curl = on(el("button", { type: "button" }, "Copy as curl"), "click", () => copied(place, curlOf(event)));
    const close = on(el("button", { type: "button", "aria-label": "Close the details" }, "×"), "click", () => this.#closed());
    fill(this.#pane,
      el("div", { class: "head" }, el("h2", null, el("b", null, kindOf(event)), " ", subjectOf(event)), again, curl, close),
      place, storyOf(event, calls),
      el("div", { class: "bodies" },
        el("div", null, el("h3", null, "Event"), json(pretty(event.body))),
        el("div", null, el("h3", null, "Reply"), event.reply === null ? el("p", { class: "none" }, "no JSON") : json(pretty(event.reply)))));
    this.#pane.hidden = false;
    if (fresh) this.#pane.scrollTop = 0;
  }

  close() {
    this.#number = null;
    this.#shown = "";
    this.#pane.hidden = true;
    fill(this.#pane);
  }
}
