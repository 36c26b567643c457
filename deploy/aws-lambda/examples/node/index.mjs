// A BioT interceptor in JavaScript: puts the age into a patient's update. No login, no token, no secret.

// BioT asks before it updates a patient; the answer is the request as it shall be.
export async function handler(event) {
  const hook = JSON.parse(event.body);
  try {
    return reply(200, { request: await intercept(hook, event.headers?.traceparent) });
  } catch (error) {
    if (!error.json) throw error;
    return reply(error.status, error.json); // BioT's error or the sidecar's: both have BioT's shape
  }
}

async function intercept({ request }, trace) {
  const { value: id } = request.pathVariables.find(({ name }) => name === "id");
  const patient = await biot(`/organization/v1/users/patients/${id}`, trace);
  return { ...request, body: { ...request.body, age: yearsSince(patient._dateOfBirth) } };
}

// Our own call: none of the intercepted request's headers, which hold the user's token.
async function biot(path, trace) {
  const headers = { accept: "application/json", ...(trace && { traceparent: trace }) };
  const answer = await fetch(process.env.BIOT_BASE_URL + path, { headers });
  const json = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(json.code), { status: answer.status, json });
  return json;
}

function yearsSince(born) {
  const [year, month, day] = born.split("-").map(Number);
  const today = new Date();
  const [months, days] = [today.getMonth() + 1 - month, today.getDate() - day];
  return today.getFullYear() - year - (months < 0 || (months === 0 && days < 0) ? 1 : 0);
}

const reply = (statusCode, body) => ({
  statusCode,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});
