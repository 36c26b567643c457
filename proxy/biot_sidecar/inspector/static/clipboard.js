// Commands to paste into a shell.

"use strict";

const quoted = (text) => `'${String(text).replaceAll("'", `'\\''`)}'`;

/** Puts a text into the clipboard if the browser lets us, and shows it in any case. */
async function copied(place, text) {
  const box = el("textarea", { readonly: "", "aria-label": "The command", rows: "4" });
  box.value = text;
  let said = "Copied:";
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    said = "To copy:";
  }
  fill(place, el("p", null, said), box);
  box.select();
}
