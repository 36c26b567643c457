// Token and rules, as /_sidecar/status tells of them.

"use strict";

const PERIOD = 2000;
const now = () => Date.now() / 1000;

class Panels {
  #token = byId("token").querySelector(".body");
  #rules = byId("rules").querySelector(".body");
  #picked;

  /** `picked(name)` is called when a rule is chosen. */
  constructor(picked) {
    this.#picked = picked;
  }

  /** Asks every two seconds while the page can be seen. */
  async run() {
    for (;;) {
      if (document.visibilityState === "visible") await this.#refresh();
      await new Promise((resolve) => setTimeout(resolve, PERIOD));
    }
  }

  async #refresh() {
    try {
      const answer = await fetch("/_sidecar/status", { cache: "no-store", signal: AbortSignal.timeout(PERIOD * 2) });
      if (answer.ok) this.#show(await answer.json());
    } catch {
      fill(this.#token, el("p", { class: "none" }, "The sidecar does not answer."));
    }
  }

  #show(status) {
    fill(this.#token, ...tokenPanel(status));
    const focused = this.#rules.contains(document.activeElement) ? document.activeElement.dataset.rule : null;
    fill(this.#rules, ...this.#rulesPanel(status.routes, status.reload));
    if (focused !== null) [...this.#rules.querySelectorAll("button")].find((one) => one.dataset.rule === focused)?.focus();
  }

  #rulesPanel(routes, reload) {
    const most = Math.max(1, ...routes.map(({ hits }) => hits));
    const items = routes.map((route) => {
      const meter = el("i");
      meter.style.width = `${(100 * route.hits) / most}%`;
      const button = el("button", { type: "button", "data-rule": route.name, title: ruleWords(route) },
        el("span", { class: "name" }, route.name), el("span", { class: "hits" }, route.hits),
        el("span", { class: "effect" }, effect(route)), el("span", { class: "meter" }, meter));
      return el("li", null, on(button, "click", () => this.#picked(route.name)));
    });
    const error = reload.error ? el("p", { class: "alert", role: "alert" }, "The routes file is wrong; the last good rules stay in force. ", reload.error) : null;
    return [error, el("ul", { class: "rules" }, ...items)];
  }
}

const ruleWords = ({ source, match, deny }) =>
  [...match, deny ? `denied: ${deny}` : null, source, "Click: only its requests"].filter(Boolean).join("; ");

/** What a rule does that not every rule does. */
function effect({ interception, authorization, retry, deny }) {
  if (deny) return "denied";
  const words = [
    interception === "on" ? "interceptors run" : interception === "client" ? "interception as the plugin says" : null,
    authorization === "keep" ? "the plugin's own token" : authorization === "none" ? "no token" : null,
    retry === "none" ? "one try" : null,
  ];
  return words.filter(Boolean).join(", ") || "no interceptors";
}

function tokenPanel({ token, logins, upstream, secret_key: secretKey }) {
  const [obtained, expires, blocked] = [token.obtained, token.expires, logins.blocked_until].map(moment);
  return [
    el("p", { class: "state" }, el("span", { class: `dot ${token.state}` }), token.state === "none" ? "no token yet" : token.state),
    obtained && expires ? lifeBar(obtained, expires) : null,
    facts([
      ["age", obtained && age(now() - obtained)],
      ["expires", expires && `in ${age(expires - now())}, at ${clock(expires)}`],
      ["secret key", secretKey && secretKeyWords(secretKey)],
      ["blocked", blocked && `for ${age(blocked - now())} more, until ${clock(blocked)}`],
      ["logins", logins.total && loginWords(logins)],
      ["BioT", upstream?.proxy && `through the proxy ${upstream.proxy}`],
    ]),
    logins.recent.length ? loginTable(logins.recent) : null,
  ];
}

function secretKeyWords({ expires, keys }) {
  const which = keys > 1 ? `one of ${keys} ` : "";
  return expires ? `${which}ends on ${expires.slice(0, 10)}` : "does not end";
}

function loginWords({ total, calls_per_login: calls, waits }) {
  const words = [String(total)];
  if (calls !== null) words.push(`${calls} calls for each`);
  if (waits.count) words.push(`${plural(waits.count, "call")} waited, ${duration(waits.longest_seconds)} at most`);
  return words.join("; ");
}

function lifeBar(obtained, expires) {
  const gone = Math.min(1, Math.max(0, (now() - obtained) / (expires - obtained)));
  const bar = el("i");
  bar.style.width = `${100 * (1 - gone)}%`;
  return el("div", { class: "life", role: "img", "aria-label": `${Math.round(100 * (1 - gone))} % of the token's life is left` }, bar);
}

function loginTable(logins) {
  const rows = logins.slice(-6).reverse().map(({ at, reason, outcome, seconds, calls }) => {
    const good = outcome === "success" || outcome === "shared";
    const took = [good ? null : `${spaced(outcome)}, `, el("span", { class: "whole" }, duration(seconds))];
    return el("tr", { class: good ? null : "bad" },
      el("td", null, clock(moment(at))), el("td", null, spaced(reason)),
      el("td", { class: "number" }, ...took), el("td", { class: "number" }, calls));
  });
  const head = ["Login", "Why", "Took", "Calls"].map((name, at) => el("th", { scope: "col", class: at > 1 ? "number" : null }, name));
  return el("table", { class: "logins" }, el("thead", null, el("tr", null, ...head)), el("tbody", null, ...rows));
}
