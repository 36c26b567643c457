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

/** Tells an event of the plugin's, which `lambda` has told of, from a call of the plugin's. */
const isEvent = ({ method }) => method === "EVENT";

/** What belongs to one trace, when there is more than the record itself: the event, the calls inside it, the reply. */
function storyOf(record, records) {
  const all = records.filter(({ trace_id: trace }) => trace === record.trace_id).sort((one, other) => one.at - other.at);
  if (all.length < 2) return null;
  const began = all[0].at;
  const calls = all.filter((one) => !isEvent(one));
  const steps = all.flatMap((one) => (isEvent(one) ? [[one.at, eventStep(one, record)], [ended(one), replyStep(one)]] : [[one.at, callStep(one, record)]]));
  const total = duration(Math.max(...all.map(ended)) - began);
  const title = calls.length < all.length ? `An event and its ${plural(calls.length, "call")}` : `${plural(calls.length, "call")} of this trace`;
  return el("section", { class: "of-trace" },
    el("h3", null, `${title}, ${total} in all`),
    el("ol", { class: "story", "aria-label": "What happened in this trace, in order" },
      ...steps.sort(([one], [other]) => one - other).map(([at, step]) => step(`+${duration(at - began)}`))));
}

const step = (kind, what, took) => (when) =>
  el("li", { class: kind }, el("span", { class: "when" }, when), el("span", { class: "what" }, ...what), el("span", { class: "took" }, took));

const status = ({ status: number }) => el("span", { class: `s${Math.floor(number / 100)}` }, number || "–");
const note = (one, record) => el("span", { class: "note" }, one === record ? "this one" : "");
const failing = (one) => (one.status >= 400 || !one.status ? " failed" : "");

const eventStep = (one, record) => step("event", [el("b", null, one.template), " ", note(one, record)], "");
const replyStep = (one) => step(`reply${failing(one)}`, ["the plugin replied ", status(one)], duration(one.durations.total));
const callStep = (one, record) =>
  step(`call inside${failing(one)}`, [el("b", null, one.method), " ", one.template || unnamed(one), " ", status(one), " ", note(one, record)], duration(one.durations.total));

const ended = (record) => record.at + record.durations.total;
