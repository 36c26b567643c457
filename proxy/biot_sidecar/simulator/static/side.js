// The side: who is told of what, and whom events name as the one who did it.

"use strict";

const ASK = { cache: "no-store", headers: { "content-type": "application/json" } };

class Side {
  #form = byId("initiator");

  constructor() {
    const { tokenType, id } = this.#form.elements;
    on(tokenType, "change", () => { id.hidden = tokenType.value === ""; });
    on(this.#form, "submit", (event) => {
      event.preventDefault();
      this.#choose(tokenType.value, id.value.trim());
    });
    this.refresh();
  }

  async refresh() {
    try {
      const [told, chosen] = await Promise.all(
        ["interceptions", "initiator"].map(async (name) => (await fetch(`/_simulator/${name}`, ASK)).json()));
      fill(byId("told"), subscribers(told));
      fill(byId("chosen"), el("p", null, chosen.initiator
        ? ["Events name ", el("code", null, `${chosen.initiator.tokenType} ${chosen.initiator.id}`)] : "Events name the token's owner."));
    } catch {
      fill(byId("told"), el("p", { class: "none" }, "The simulator does not answer."));
    }
  }

  async #choose(tokenType, id) {
    const request = tokenType ? { method: "PUT", body: JSON.stringify({ tokenType, id }) } : { method: "DELETE" };
    const answer = await fetch("/_simulator/initiator", { ...ASK, ...request });
    if (answer.ok) await this.refresh();
    else fill(byId("chosen"), el("p", { class: "alert" }, (await answer.json()).message));
  }
}

function subscribers({ interceptors, notifications }) {
  const told = [
    ...notifications.map((one) => [`notification ${one.entityName}.${one.actionName}`, one.url]),
    ...interceptors.map((one) => [`${one.type} ${one.apiId ?? one.entityName}`, one.url ?? "played by the simulator"]),
  ];
  if (!told.length) return el("p", { class: "none" }, "nobody");
  return el("ul", { class: "subscribers" }, ...told.map(([what, url]) => el("li", null, what, el("span", { class: "url" }, url))));
}
