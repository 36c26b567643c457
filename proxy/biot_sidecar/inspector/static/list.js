// The list of requests: newest first, filtered, one of them selected. Rows are made once and moved by the browser.

"use strict";

const KEPT_MOST = 500;

class RequestList {
  #entries = []; // newest first: {record, row}
  #matches = () => true;
  #filtered = false;
  #selected = null;
  #missed = 0;
  #table = byId("list");
  #body = byId("list").tBodies[0];
  #opened;
  #emptied;

  /** `opened(record)` is called when a row is clicked, `emptied` when a button asks for the filter to be cleared. */
  constructor(opened, emptied) {
    this.#opened = opened;
    this.#emptied = emptied;
    this.#summarize();
  }

  get selected() {
    return this.#selected?.record ?? null;
  }

  get records() {
    return this.#entries.map(({ record }) => record);
  }

  reset(records) {
    const before = this.#selected?.record;
    this.#entries = [];
    this.#missed = 0;
    this.#body.replaceChildren();
    this.#select(null);
    this.#insert(records);
    const again = this.#entries.find(({ record }) => record.number === before?.number && record.trace_id === before?.trace_id);
    if (again) this.#select(again);
  }

  add(records, missed) {
    this.#missed += missed;
    this.#insert(records, "new");
  }

  clear() {
    const newest = this.#entries[0]?.record.number ?? 0;
    this.reset([]);
    return newest;
  }

  filter(matches, filtered) {
    this.#matches = matches;
    this.#filtered = filtered;
    for (const { record, row } of this.#entries) {
      row.hidden = !matches(record);
      row.classList.remove("new"); // else a row that is shown again would look like one that just came
    }
    this.#summarize();
  }

  /** Selects the row `step` rows further down among those shown; null: the first or, with -Infinity, the last. */
  move(step) {
    const shown = this.#entries.filter(({ row }) => !row.hidden);
    if (!shown.length) return null;
    const at = shown.indexOf(this.#selected);
    const next = at < 0 && Number.isFinite(step) ? 0 : Math.min(shown.length - 1, Math.max(0, at + step));
    this.#select(shown[next]);
    shown[next].row.scrollIntoView({ block: "nearest" });
    return shown[next].record;
  }

  #insert(records, mark) {
    const fresh = records.map((record) => ({ record, row: this.#row(record, mark) })).reverse();
    this.#entries.unshift(...fresh);
    this.#body.prepend(...fresh.map(({ row }) => row));
    for (const old of this.#entries.splice(KEPT_MOST)) {
      old.row.remove();
      if (old === this.#selected) this.#select(null);
    }
    this.#summarize();
  }

  #row(record, mark) {
    const row = el("tr", { id: `request-${record.number}`, "aria-selected": "false", class: mark },
      el("td", { title: fullTime(record.at) }, clock(record.at)),
      el("td", { class: "method" }, record.method),
      el("td", { class: "path", title: record.template }, ...pathCell(record)),
      el("td", { class: "rule", title: record.rule }, record.rule || "–"),
      el("td", null, record.interception === "none" ? "" : el("span", { class: `badge ${record.interception}` }, record.interception)),
      el("td", { class: "status" }, ...statusCell(record)),
      el("td", null, el("div", { class: "took" }, el("span", null, duration(record.durations.total)),
        el("span", { class: "track" }, smallBar(record.durations)))),
      el("td", { class: record.tries > 1 ? "number again" : "number" }, record.tries || "–"),
      el("td", { class: "number" }, record.token_age === null ? "–" : age(record.token_age)));
    row.hidden = !this.#matches(record);
    on(row, "click", () => {
      this.#select(this.#entries.find((entry) => entry.row === row));
      this.#opened(record);
    });
    return row;
  }

  #select(entry) {
    this.#selected?.row.setAttribute("aria-selected", "false");
    this.#selected = entry;
    entry?.row.setAttribute("aria-selected", "true");
    if (entry) this.#table.setAttribute("aria-activedescendant", entry.row.id);
    else this.#table.removeAttribute("aria-activedescendant");
  }

  #summarize() {
    const all = this.#entries.length;
    const shown = this.#filtered ? this.#entries.filter(({ row }) => !row.hidden).length : all;
    this.#table.setAttribute("aria-rowcount", String(shown + 1));
    const missed = this.#missed ? `, ${this.#missed} not shown (too many at once)` : "";
    fill(byId("count"), all ? `${this.#filtered ? `${shown} of ` : ""}${plural(all, "request")}${missed}` : "");
    byId("empty").hidden = shown > 0;
    if (!shown) fill(byId("empty"), ...(all ? this.#nothingMatches() : nothingYet()));
  }

  #nothingMatches() {
    const button = on(el("button", { type: "button" }, "Clear the filter"), "click", this.#emptied);
    return [el("p", null, "No request matches the filter."), button];
  }
}

const nothingYet = () => [
  el("p", null, "No requests yet."),
  el("p", { class: "hint" }, "Point your plugin here: ", el("code", null, `BIOT_BASE_URL=${location.origin}`)),
];

function pathCell(record) {
  const query = record.query.length ? el("span", { class: "query" }, `?${record.query.join("&")}`) : null;
  if (record.template) return [...breakable(record.template), query];
  return [el("span", { class: "none" }, unnamed(record)), query];
}

/** A path may go on in the next line after each slash. */
const breakable = (path) => path.split(/(?<=\/)/).flatMap((part) => [part, el("wbr")]);

/** Stands for a path that no template is known for: the path itself is never told. */
const unnamed = ({ refused }) => (refused ? `refused: ${refused}` : "unknown path");

function statusCell(record) {
  const tag = record.client_gone ? "gone" : record.cut ? "cut" : record.code ? "sidecar" : "";
  const title = { gone: "the client hung up", cut: "the answer broke off", sidecar: `answered by the sidecar: ${record.code}` }[tag];
  return [
    el("span", { class: `s${Math.floor(record.status / 100)}` }, record.status || "–"),
    ...(tag ? [" ", el("span", { class: `tag ${tag}`, title }, tag)] : []),
    ...(record.would_deny ? [" ", el("span", { class: "tag observed", title: `would be denied by ${record.would_deny}` }, "would deny")] : []),
  ];
}
