// Builds the page out of elements and text, never out of markup: nothing a request holds can become more than text.

"use strict";

// Control and direction characters could hide or reorder what is read: they are spelled out.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

const visible = (text) =>
  String(text).replace(UNSEEN, (one) => `⟨U+${one.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);

/** An element; `attributes` with the value null are left out, children are elements, texts or null. */
function el(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined) element.setAttribute(name, visible(value));
  }
  return fill(element, ...children);
}

/** Replaces what the element holds. */
function fill(element, ...children) {
  element.replaceChildren(
    ...children.flat().filter((child) => child !== null && child !== undefined)
      .map((child) => (child instanceof Node ? child : document.createTextNode(visible(child)))),
  );
  return element;
}

function on(element, event, act) {
  element.addEventListener(event, act);
  return element;
}

/** A list of names and what they stand for; entries without a value are left out. */
function facts(entries) {
  const shown = entries.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return el("dl", { class: "facts" }, ...shown.flatMap(([name, value]) => [el("dt", null, name), el("dd", null, value)]));
}

const byId = (id) => document.getElementById(id);
