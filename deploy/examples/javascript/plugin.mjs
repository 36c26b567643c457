// A BioT plugin in JavaScript: keeps a patient's age right. No login, no token, no secret: the sidecar has them.
import { createServer } from "node:http";

const SIDECAR = process.env.SIDECAR_URL ?? "http://127.0.0.1:8787";
const [HOST, PORT] = (process.env.PLUGIN_LISTEN ?? "127.0.0.1:8080").split(":");

// One call of the BioT API; trace is the event's, if it has one.
async function biot(method, path, trace, body) {
  const answer = await fetch(SIDECAR + path, {
    method,
    headers: { "content-type": "application/json", accept: "application/json", ...(trace && { traceparent: trace }) },
    body: body && JSON.stringify(body),
  });
  const json = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(json.code), { status: answer.status, json });
  return json;
}

// BioT says that a patient was changed: is the age still right?
async function perform(event, trace) {
  const path = `/organization/v1/users/patients/${event.data.entity._id}`;
  const patient = await biot("GET", path, trace);
  const age = yearsSince(patient._dateOfBirth);
  const changed = patient.age !== age; // else our own change would call us again, for ever
  if (changed) await biot("PATCH", path, trace, { age });
  return { patient: patient._id, age, changed };
}

function yearsSince(born) {
  const [year, month, day] = born.split("-").map(Number);
  const today = new Date();
  const before = [today.getMonth() + 1 - month, today.getDate() - day];
  return today.getFullYear() - year - (before[0] < 0 || (before[0] === 0 && before[1] < 0) ? 1 : 0);
}

const server = createServer(async (request, response) => {
  let text = "";
  for await (const piece of request) text += piece;
  const answer = (status, body) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  try {
    answer(200, await perform(JSON.parse(text), request.headers.traceparent));
  } catch (error) {
    // BioT's error or the sidecar's: both have BioT's shape.
    answer(error.status ?? 500, error.json ?? { code: "PLUGIN_ERROR", message: error.message });
  }
});
server.listen(Number(PORT), HOST, () => console.log(`plugin on ${HOST}:${server.address().port}, BioT at ${SIDECAR}`));
process.once("SIGTERM", () => process.exit()); // as process 1 of a container it would be ignored
