// Starts the sidecar when a handler imports this first: for a ZIP plugin whose environment cannot name a wrapper.
//   import "./biot_sidecar/start.mjs";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const listen = (process.env.SIDECAR_LISTEN ?? "127.0.0.1:8787").split(",")[0];
const program = fileURLToPath(new URL("bin/biot-sidecar", import.meta.url));
const sidecar = spawn(program, ["serve"], { stdio: ["ignore", "pipe", "inherit"] });
// The sidecar has BioT's address and the secret; from here on, the plugin has neither.
process.env.BIOT_BASE_URL = `http://${listen}`;
process.env.BIOT_SERVICE_USER_SECRET_KEY = "kept-by-biot-sidecar";
// Its first output is the ready line.
await Promise.race([
  once(sidecar.stdout, "data"),
  once(sidecar, "exit").then(() => Promise.reject(new Error("biot-sidecar did not start"))),
]);
// A plugin without its sidecar is of no use; Lambda starts a new environment.
sidecar.once("exit", () => process.kill(process.pid, "SIGTERM"));
sidecar.unref();
sidecar.stdout.unref();
