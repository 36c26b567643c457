// A managed Node runtime in small: asks Lambda for events and hands them to a handler, index.handler if none is named.
import { pathToFileURL } from "node:url";

const api = `http://${process.env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime`;
const post = (path, body) => fetch(`${api}/${path}`, { method: "POST", body: JSON.stringify(body) });
const described = (error) => ({ errorType: error.name, errorMessage: error.message });

let handler;
try {
  const [file, name] = (process.argv[2] ?? "index.handler").split(".");
  handler = (await import(pathToFileURL(`${process.env.LAMBDA_TASK_ROOT}/${file}.mjs`)))[name];
} catch (error) {
  await post("init/error", described(error));
  throw error;
}
for (;;) {
  const answer = await fetch(`${api}/invocation/next`);
  const id = answer.headers.get("lambda-runtime-aws-request-id");
  const event = await answer.json();
  try {
    await post(`invocation/${id}/response`, await handler(event, {}));
  } catch (error) {
    await post(`invocation/${id}/error`, described(error));
  }
}
