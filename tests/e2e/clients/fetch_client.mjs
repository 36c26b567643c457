// Node's fetch as a plugin would use it: carries out the calls that stdin asks for (see asked.py).
import { createReadStream, createWriteStream, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

// A buffer has a length; a stream has none and goes out in chunks.
function bodyOf(text) {
  const at = text.indexOf(":");
  const [how, file] = [text.slice(0, at), text.slice(at + 1)];
  if (how === "streamed") return { body: Readable.toWeb(createReadStream(file)), duplex: "half" };
  return how === "sized" ? { body: readFileSync(file) } : {};
}

async function call(method, url, body, answerFile, ...fields) {
  const headers = fields.map((field) => field.split(": "));
  const answer = await fetch(url, { method, headers, redirect: "manual", ...bodyOf(body) });
  await pipeline(answer.body ? Readable.fromWeb(answer.body) : Readable.from([]), createWriteStream(answerFile));
  return [answer.status, ...[...answer.headers].map((field) => field.join(": "))];
}

for await (const line of createInterface({ input: process.stdin })) {
  let said;
  try {
    said = await call(...line.split("\t"));
  } catch (error) {
    said = [0, `error: ${error.cause ?? error}`];
  }
  console.log(said.join("\t"));
}
