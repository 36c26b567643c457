// The filter's little language: words that are all required, `column:word` looks in one column, `-` excludes.

"use strict";

const COLUMNS = {
  method: (record) => record.method,
  path: (record) => record.template,
  rule: (record) => record.rule || "–",
  status: (record) => String(record.status),
  code: (record) => record.code,
  interception: (record) => record.interception,
  observed: (record) => (record.would_deny ? `would deny ${record.would_deny}` : ""),
  trace: (record) => record.trace_id,
};
const WORD = /(-?)(?:([a-z]+):)?(?:"([^"]*)"?|(\S+))/gi;

/** Text -> a predicate over records. Never fails: what is no known column is looked for as it stands. */
function compile(text) {
  const tests = [...text.matchAll(WORD)].map(([whole, minus, column, quoted, plain]) => {
    const known = column && Object.hasOwn(COLUMNS, column.toLowerCase()) ? column.toLowerCase() : "";
    const word = (known || !column ? quoted ?? plain : whole.slice(minus.length)).toLowerCase();
    const test = known ? inColumn(known, word) : anywhere(word);
    return minus ? (record) => !test(record) : test;
  });
  return (record) => tests.every((test) => test(record));
}

function inColumn(column, word) {
  if (column === "status" && /^[1-5]xx$/.test(word)) return (record) => Math.floor(record.status / 100) === Number(word[0]);
  if (column === "status") return (record) => String(record.status).startsWith(word);
  return (record) => COLUMNS[column](record).toLowerCase().includes(word);
}

function anywhere(word) {
  const columns = Object.values(COLUMNS);
  return (record) => columns.some((column) => column(record).toLowerCase().includes(word));
}
