// Where a request's time went, as a bar and as a legend.

"use strict";

const PARTS = [
  ["token", "token wait"],
  ["connect", "connect"],
  ["first_byte", "first byte"],
  ["pause", "pauses between tries"],
  ["rest", "rest"],
];
const SHORTEST = 0.001;
const LONGEST = 60;

const words = (split) => PARTS.filter(([key]) => split[key] > 0).map(([key, name]) => `${name} ${duration(split[key])}`);

/** The list's bar: its length tells the order of magnitude (1 ms to 60 s), its colours the parts. */
function smallBar(split) {
  const share = Math.log(Math.max(split.total, SHORTEST) / SHORTEST) / Math.log(LONGEST / SHORTEST);
  const bar = el("span", { class: "bar", title: words(split).join(", "), "aria-hidden": "true" }, ...segments(split));
  bar.style.width = `${Math.round(6 + 94 * Math.min(1, share))}%`;
  return bar;
}

/** The details' bar, in full width, with its legend. */
function largeBar(split) {
  return el("div", { class: "split" },
    el("span", { class: "bar", role: "img", "aria-label": words(split).join(", ") }, ...segments(split)),
    el("ul", { class: "legend" }, ...legend(split)));
}

/** What the colours stand for; with a request's durations, those that it has. */
function legend(split) {
  return PARTS.filter(([key]) => !split || split[key] > 0).map(([key, name]) =>
    el("li", { class: key }, el("span", { class: "name" }, name), " ",
      split ? el("span", { class: "value" }, duration(split[key])) : null));
}

function segments(split) {
  return PARTS.filter(([key]) => split[key] > 0).map(([key]) => {
    const segment = el("i", { class: key });
    segment.style.flexGrow = String(split[key] / split.total);
    return segment;
  });
}
