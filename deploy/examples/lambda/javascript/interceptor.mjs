// A BioT pre-request interceptor as a Lambda handler: tidies a patient's update, and refuses an age that cannot be.

// BioT asks before it updates a patient; the reply is the request as it shall be, or what the caller gets.
export async function handler(event) {
  const { request } = JSON.parse(event.body);
  const { age, _name: name } = request.body;
  if (Number.isInteger(age) && (age < 0 || age > 130)) {
    return reply(400, { code: "AGE_NOT_POSSIBLE", message: `Nobody is ${age} years old`, details: { age } });
  }
  if (name) {
    for (const [part, text] of Object.entries(name)) name[part] = text.split(/\s+/).filter(Boolean).join(" ");
  }
  return reply(200, { request });
}

const reply = (statusCode, body) => ({
  statusCode,
  headers: { "content-type": "application/json" },
  body: JSON.stringify(body),
});
