// What belongs together: the calls of one trace in their order, and a call as a command to paste.

"use strict";

const LEFT_OUT = new Set(["authorization", "connection", "content-length", "host", "keep-alive", "te", "traceparent", "transfer-encoding"]);
/** A placeholder in the shell's form, such as $PATIENT_ID. */
const placeholder = (name) => `$${name.replace(/[^a-z0-9]+/gi, "_").replace(/([a-z])([A-Z])/g, "$1_$2").toUpperCase()}`;

/** The request as curl would send it to BioT: its values are not known here, so placeholders stand for them. */
function curlOf(record) {
  const path = (record.template || "/PATH").replace(/\{(\w+)\}/g, (_, name) => placeholder(name)).replace(/\/\*\*$/, "/$REST");
  const query = record.query.map((key) => (/^[\w.-]+$/.test(key) ? `${key}=${placeholder(key)}` : "$KEY=$VALUE")).join("&");
  const url = `"$BIOT_BASE_URL${path}${query ? `?${query}` : ""}"`;
  const fields = record.request_headers.filter(({ name }) => /^[\w-]+$/.test(name) && !LEFT_OUT.has(name.toLowerCase()));
  return [
    `curl -X ${record.method} ${url}`,
    '-H "authorization: Bearer $TOKEN"',
    ...fields.map(({ name, value }) => `-H ${value === null ? `"${name}: ${placeholder(name)}"` : quoted(`${name}: ${value}`)}`),
    ...(record.request_bytes ? ['-d "$BODY"'] : []),
  ].join(" \\\n  ");
}

/** The calls of a record's trace, when there are others than itself: what one event made a plugin do. */
function storyOf(record, records) {
  const calls = records.filter(({ trace_id: trace }) => trace === record.trace_id).sort((one, other) => one.at - other.at);
  if (calls.length < 2) return null;
  const began = calls[0].at;
  return el("section", { class: "of-trace" },
    el("h3", null, `${plural(calls.length, "call")} of this trace, ${duration(Math.max(...calls.map(ended)) - began)} in all`),
    el("ol", { class: "story", "aria-label": "The calls of this trace, in order" }, ...calls.map((one) =>
      el("li", { class: `${one === record ? "event" : "call"}${one.status >= 400 || !one.status ? " failed" : ""}` },
        el("span", { class: "when" }, `+${duration(one.at - began)}`),
        el("span", { class: "what" }, el("b", null, one.method), " ", one.template || unnamed(one), " ",
          el("span", { class: `s${Math.floor(one.status / 100)}` }, one.status || "–"), " ",
          el("span", { class: "note" }, one === record ? "this one" : "")),
        el("span", { class: "took" }, duration(one.durations.total))))));
}

const ended = (record) => record.at + record.durations.total;
