// All that may be known of one request: facts, where its time went, headers with masked values.

"use strict";

class Details {
  #pane = byId("details");
  #closed;
  #explain;
  #records;

  /** `closed()` is called when the pane is to close, `explain(record)` when its request is to be explained; `records()`
      are all that there are. */
  constructor(closed, explain, records) {
    this.#closed = closed;
    this.#explain = explain;
    this.#records = records;
  }

  get open() {
    return !this.#pane.hidden;
  }

  show(record) {
    const close = on(el("button", { type: "button", "aria-label": "Close the details" }, "×"), "click", () => this.#closed());
    const explain = on(el("button", { type: "button", class: "small" }, "Explain"), "click", () => this.#explain(record));
    const place = el("div", { class: "copied" });
    const curl = on(el("button", { type: "button", class: "small" }, "Copy as curl"), "click", () => copied(place, curlOf(record)));
    fill(this.#pane,
      el("div", { class: "head" },
        el("h2", null, el("b", null, record.method), " ", record.template || unnamed(record)),
        ...(record.template && !isEvent(record) ? [explain, curl] : []), close),
      place, storyOf(record, this.#records()) ?? "",
      el("div", { class: "columns" },
        el("div", null, el("h3", null, `Took ${duration(record.durations.total)}`), largeBar(record.durations), facts(about(record))),
        el("div", null, el("h3", null, "Request headers"), headers(record.request_headers)),
        el("div", null, el("h3", null, "Response headers"), headers(record.response_headers))));
    this.#pane.hidden = false;
    this.#pane.scrollTop = 0;
  }

  close() {
    this.#pane.hidden = true;
    fill(this.#pane);
  }
}

function about(record) {
  return [
    ["time", fullTime(record.at)],
    ["status", statusWords(record)],
    ["rule", record.rule && [record.rule, el("span", { class: "source" }, record.source)]],
    ["interception", record.interception],
    ["authorization", record.authorization],
    ["query keys", record.query.join(", ")],
    ["token", record.token_age === null ? "" : `${age(record.token_age)} old${tokenWords(record.token_result)}`],
    ["tries", record.tries && [record.tries, record.retries.length ? `, again after: ${record.retries.map(spaced).join(", ")}` : ""].join("")],
    ["connection", record.tries ? (record.reused ? "reused" : "new") : ""],
    ["request body", bytes(record.request_bytes)],
    ["response body", bytes(record.response_bytes)],
    ["refused", record.refused],
    ["would be denied", record.would_deny && `by ${record.would_deny}`],
    ["trace id", record.trace_id],
    ["id in the log", record.id],
  ];
}

function statusWords(record) {
  const words = [record.status ? String(record.status) : "no answer"];
  if (record.code) words.push(`by the sidecar: ${record.code}`);
  if (record.upstream_status && record.upstream_status !== record.status) words.push(`BioT said ${record.upstream_status}`);
  if (record.client_gone) words.push("the client hung up");
  if (record.cut) words.push("the answer broke off");
  return words.join("; ");
}

const tokenWords = (result) => ({ wait: ", had to be waited for", stale: ", was being renewed", fail: ", login failed" })[result] ?? "";

function headers(fields) {
  if (!fields.length) return el("p", { class: "none" }, "none");
  const rows = fields.map(({ name, value }) =>
    el("tr", null, el("th", { scope: "row" }, name),
      value === null ? el("td", { class: "masked", "aria-label": "masked" }, "•••") : el("td", null, value)));
  return el("table", { class: "headers" }, el("tbody", null, ...rows));
}
