// Commands to paste: what was sent, with a placeholder in place of each token.

"use strict";

const JWT = /^(Bearer )?eyJ[\w-]+\.[\w-]+\.[\w-]+$/;

/** The event as curl would send it. Its data is invented; its JWTs are not, and stay out. */
function curlOf(event) {
  const body = JSON.stringify(event.body, (name, value) =>
    typeof value === "string" && JWT.test(value) ? value.replace(JWT, "$1JWT") : value);
  const fields = { "content-type": "application/json", ...event.headers };
  if (event.hookType !== "NOTIFICATION") fields.authorization = "Bearer JWT";
  return [
    `curl -X POST ${quoted(event.url)}`,
    ...Object.entries(fields).map(([name, value]) => `-H ${quoted(`${name}: ${value}`)}`),
    `-d ${quoted(body)}`,
  ].join(" \\\n  ");
}
