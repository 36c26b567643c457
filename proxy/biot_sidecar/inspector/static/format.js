// Numbers as people read them. Durations and ages come in seconds, sizes in bytes, moments in seconds since the epoch.

"use strict";

const two = (number) => String(number).padStart(2, "0");

function clock(at) {
  const date = new Date(at * 1000);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** Seconds since the epoch of an ISO date, or null. */
const moment = (iso) => (iso ? Date.parse(iso) / 1000 : null);

const fullTime = (at) => new Date(at * 1000).toISOString().replace("T", " ");

function duration(seconds) {
  const ms = seconds * 1000;
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${ms.toFixed(0)} ms`;
  return seconds < 99.95 ? `${seconds.toFixed(seconds < 9.995 ? 2 : 1)} s` : age(seconds);
}

function age(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h ${two(Math.floor((whole % 3600) / 60))}m`;
}

function bytes(count) {
  if (count < 1000) return `${count} B`;
  const units = ["kB", "MB", "GB", "TB"];
  const step = Math.min(units.length, Math.floor(Math.log10(count) / 3));
  return `${(count / 1000 ** step).toFixed(1)} ${units[step - 1]}`;
}

const spaced = (name) => name.replaceAll("_", " ");

const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;
