// The box that asks which rule would answer a request, and what would become of it.

"use strict";

class Explain {
  #form = byId("explain").querySelector("form");
  #body = byId("explain").querySelector(".body");

  constructor() {
    on(this.#form, "submit", (event) => {
      event.preventDefault();
      this.#ask();
    });
  }

  /** Puts the cursor into the box; with a request, its method and path are there already, and their explanation. */
  begin(record) {
    const { method, path } = this.#form.elements;
    path.focus();
    if (record?.template) {
      if ([...method.options].some((option) => option.value === record.method)) method.value = record.method;
      path.value = record.template;
      this.#ask();
    }
    path.select();
  }

  async #ask() {
    const { method, path } = this.#form.elements;
    const query = new URLSearchParams({ method: method.value, path: path.value.trim() });
    try {
      const answer = await fetch(`/_sidecar/explain?${query}`, { cache: "no-store", signal: AbortSignal.timeout(5000) });
      const said = await answer.json();
      fill(this.#body, ...(answer.ok ? told(said) : [el("p", { class: "alert" }, said.message)]));
    } catch {
      fill(this.#body, el("p", { class: "alert" }, "The sidecar does not answer."));
    }
  }
}

function told(said) {
  return [
    said.deny ? el("p", { class: "alert" }, "Refused: ", said.deny) : null,
    said.observe ? el("p", {}, `${said.observe.route} would deny it: ${said.observe.reason}`) : null,
    facts([
      ["rule", said.route && [said.route, el("span", { class: "source" }, said.source)]],
      ["operation", said.operation ?? "unknown"],
      ...(said.deny ? [] : [
        ["interception", said.interception],
        ["authorization", said.authorization],
        ["timeout", said.timeout],
        ["retry", said.retry],
      ]),
    ]),
    ...said.warnings.map((warning) => el("p", { class: "warning" }, warning)),
  ];
}
