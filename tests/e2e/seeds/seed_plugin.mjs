// A plugin that calls BioT as BioT's JavaScript seed 3.3.3 does: own login, own headers (those of axios), no retry.
// It takes a notification event per line of stdin and says a line of JSON in return. It knows nothing of a sidecar.
import { createPublicKey, verify } from "node:crypto";
import http from "node:http";
import { createInterface } from "node:readline";

const { BIOT_BASE_URL, BIOT_SERVICE_USER_ID, BIOT_SERVICE_USER_SECRET_KEY } = process.env;
const SHOULD_VALIDATE_JWT = process.env.BIOT_SHOULD_VALIDATE_JWT !== "false";
const REFRESH_BUFFER_SECONDS = 60;
const PATIENTS = "/organization/v1/users/patients";
const AWKWARD = "a+b & c/d 'ü'";

let publicKey = null;
let cachedToken = null;
let cachedExpiration = null;

// What axios 1.15 puts on the wire. Anything but 2xx is an error that carries the answer.
function axios(method, path, { data, headers = {} } = {}) {
  const body = data === undefined ? undefined : Buffer.from(JSON.stringify(data));
  const fields = {
    Accept: "application/json, text/plain, */*",
    "Content-Type": body && "application/json",
    ...headers,
    "User-Agent": "axios/1.15.1",
    "Content-Length": body && body.length,
    "Accept-Encoding": "gzip, compress, deflate, br",
  };
  const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
  return new Promise((resolve, reject) => {
    const request = http.request(BIOT_BASE_URL + path, { method, headers: given }, async (answer) => {
      const pieces = [];
      for await (const piece of answer) pieces.push(piece);
      const text = Buffer.concat(pieces).toString();
      const response = { status: answer.statusCode, data: parsed(text) };
      if (answer.statusCode >= 200 && answer.statusCode < 300) resolve(response);
      else reject(Object.assign(new Error(`Request failed with status code ${answer.statusCode}`), { response }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function authenticate(token) {
  if (!publicKey) {
    const { data } = await axios("GET", "/ums/v1/security/public-key");
    publicKey = createPublicKey(`-----BEGIN PUBLIC KEY-----\n${data.publicKey}\n-----END PUBLIC KEY-----`);
  }
  const [head, claims, signature] = token.split(".");
  if (!verify("sha512", Buffer.from(`${head}.${claims}`), publicKey, Buffer.from(signature, "base64url"))) {
    throw new Error("JWT_ERROR");
  }
}

async function login(traceparent) {
  const now = Math.floor(Date.now() / 1000);
  if (cachedToken && now < cachedExpiration - REFRESH_BUFFER_SECONDS) return cachedToken;
  if (!BIOT_SERVICE_USER_ID) throw new Error("No BIOT_SERVICE_USER_ID");
  if (!BIOT_SERVICE_USER_SECRET_KEY) throw new Error("No BIOT_SERVICE_USER_SECRET_KEY");
  const { data } = await axios("POST", "/ums/v2/services/accessToken", {
    data: { id: BIOT_SERVICE_USER_ID, secretKey: BIOT_SERVICE_USER_SECRET_KEY },
    headers: { traceparent },
  });
  const expiration = Date.parse(data.accessTokenExpiration);
  if (Number.isNaN(expiration)) throw new Error("Invalid expiration date format");
  [cachedToken, cachedExpiration] = [data.accessToken, Math.floor(expiration / 1000)];
  return cachedToken;
}

async function perform(entity, traceparent, token) {
  const headers = { authorization: `Bearer ${token}`, traceparent };
  const path = `${PATIENTS}/${entity._id}`;
  const before = (await axios("GET", path, { headers })).data;
  const wanted = { filter: { "_name.firstName": { like: AWKWARD } }, page: 0, limit: 30 };
  const query = new URLSearchParams([["searchRequest", JSON.stringify(wanted)]]);
  await axios("GET", `${PATIENTS}?${query}`, { headers });
  const after = (await axios("PATCH", path, { headers, data: { age: (before.age ?? 0) + 1 } })).data;
  return { before: before.age, after: after.age };
}

// An error of BioT's goes back to BioT, its fields spread out.
function errorResponse(error, traceId) {
  const { response } = error;
  if (!response) return { statusCode: 500, body: { code: "INTERNAL_SERVER_ERROR", message: error.message, traceId } };
  return { statusCode: response.status, body: { ...response.data, serviceName: "seed plugin", traceId } };
}

async function handler(event) {
  const { traceparent } = event.headers;
  try {
    const { data, jwt } = JSON.parse(event.body);
    if (SHOULD_VALIDATE_JWT) await authenticate(jwt);
    return { statusCode: 200, body: await perform(data.entity, traceparent, await login(traceparent)) };
  } catch (error) {
    return errorResponse(error, traceparent.split("-")[1]);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await handler(JSON.parse(line))));
}
