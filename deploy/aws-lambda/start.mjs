// Starts the sidecar when a handler imports this first: for a ZIP plugin whose environment cannot name a wrapper.
//   import "./biot_sidecar/start.mjs";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const listen = (process.env.SIDECAR_LISTEN ?? "127.0.0.1:8787").split(",")[0];
const file = (name) => fileURLToPath(new URL(name, import.meta.url));
const sidecar = spawn(file("bin/python"), [file("launch.py")], { stdio: ["ignore", "pipe", "inherit"] });
// The sidecar has BioT's address and the secret; from here on, the plugin has neither.
process.env.BIOT_BASE_URL = `http://${listen}`;
process.env.BIOT_SERVICE_USER_SECRET_KEY = "kept-by-biot-sidecar";
// Its first output says that it listens: the first call waits for what is left of its start.
await Promise.race([
  once(sidecar.stdout, "data"),
  once(sidecar, "exit").then(() => Promise.reject(new Error("biot-sidecar did not start"))),
]);
// A plugin without its sidecar is of no use; Lambda starts a new environment.
sidecar.once("exit", () => process.kill(process.pid, "SIGTERM"));
sidecar.unref();
sidecar.stdout.unref();
