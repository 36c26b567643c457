// The live stream of records, with pause. Comes back by itself when the sidecar does.

"use strict";

const AGAIN = 3000;
const HELD_MOST = 500;

class Stream {
  #list;
  #cleared = 0;
  #paused = false;
  #state = "connecting";
  #held = { snapshot: null, records: [], missed: 0 };

  constructor(list) {
    this.#list = list;
    this.#connect();
  }

  get paused() {
    return this.#paused;
  }

  pause(paused) {
    this.#paused = paused;
    if (!paused) this.#release();
    this.#tell(this.#state);
  }

  clear() {
    this.#cleared = Math.max(this.#cleared, this.#list.clear());
    this.#held = { snapshot: null, records: [], missed: 0 };
    this.#tell(this.#state);
  }

  #connect() {
    const source = new EventSource("/_sidecar/events");
    source.addEventListener("snapshot", ({ data }) => this.#snapshot(JSON.parse(data).records));
    source.addEventListener("requests", ({ data }) => this.#news(JSON.parse(data)));
    source.addEventListener("open", () => this.#tell("live"));
    source.addEventListener("error", () => {
      this.#tell("reconnecting");
      source.close();
      setTimeout(() => this.#connect(), AGAIN);
    });
  }

  #snapshot(records) {
    // Numbers that begin anew are a new sidecar's: nothing of it was cleared.
    if ((records.at(-1)?.number ?? 0) < this.#cleared) this.#cleared = 0;
    const kept = records.filter(({ number }) => number > this.#cleared);
    if (this.#paused) this.#held = { snapshot: kept, records: [], missed: 0 };
    else this.#list.reset(kept);
    this.#tell(this.#state);
  }

  #news({ records, missed }) {
    if (!this.#paused) return this.#list.add(records, missed);
    const all = [...this.#held.records, ...records];
    this.#held.records = all.slice(-HELD_MOST);
    this.#held.missed += missed + all.length - this.#held.records.length;
    return this.#tell(this.#state);
  }

  #release() {
    const { snapshot, records, missed } = this.#held;
    this.#held = { snapshot: null, records: [], missed: 0 };
    if (snapshot) this.#list.reset(snapshot);
    this.#list.add(records, missed);
  }

  #tell(state) {
    this.#state = state;
    const held = this.#held.records.length;
    const paused = this.#paused && state === "live";
    byId("link").dataset.state = paused ? "paused" : state;
    fill(byId("link"), paused ? `paused${held ? `, ${plural(held, "new one")}` : ""}` : state);
  }
}
