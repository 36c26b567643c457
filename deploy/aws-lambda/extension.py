"""For plugins deployed as IMAGE: what /opt/extensions/biot-sidecar runs, in the sidecar's own interpreter.

Lambda starts it beside the runtime, sends the first event only when it says that it is ready, and tells it of the end.
Extensions API: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
"""

import os
import select
import socket
import subprocess
import sys
import threading

API = "/2020-01-01/extension"
READY_WITHIN = 9.0
"""Seconds for the sidecar's start, of the 10 that Lambda allows."""


def ask(method: str, path: str, fields: dict[str, str], body: bytes = b"") -> dict[str, str]:
    """One call of the Extensions API; the answer's header fields. (http.client takes longer to import than to use.)"""
    host, _, port = os.environ["AWS_LAMBDA_RUNTIME_API"].rpartition(":")
    lines = [
        f"{method} {API}{path} HTTP/1.1",
        f"Host: {host}:{port}",
        "Connection: close",
        f"Content-Length: {len(body)}",
    ]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    with socket.create_connection((host, int(port))) as sock:
        sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        head = b""
        while b"\r\n\r\n" not in head and (piece := sock.recv(4096)):
            head += piece
    first, *rest = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    if not first.startswith("HTTP/1.1 2"):
        raise SystemExit(f"biot-sidecar: Lambda answered {path} with {first!r}")
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}


class Extension:
    """Registered at Lambda, then the sidecar's parent until either ends."""

    def __init__(self, name: str) -> None:
        registered = ask("POST", "/register", {"Lambda-Extension-Name": name}, b'{"events": ["SHUTDOWN"]}')
        self._self = {"Lambda-Extension-Identifier": registered["lambda-extension-identifier"]}
        self._ending = False

    def fail(self, phase: str, kind: str) -> int:
        """Tell Lambda why, so that it replaces this environment."""
        ask("POST", f"/{phase}/error", {**self._self, "Lambda-Extension-Function-Error-Type": kind}, b"{}")
        return 1

    def run(self, program: str) -> int:
        sidecar = subprocess.Popen([program, "serve"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, bufsize=0)
        ready = select.select([sidecar.stdout], [], [], READY_WITHIN)[0] and sidecar.stdout.readline()
        if not ready:
            sidecar.kill()
            return self.fail("init", "Extension.SidecarDidNotStart")
        sys.stderr.write(ready.decode())
        threading.Thread(target=self._end, args=(sidecar,), daemon=True).start()
        status = sidecar.wait()
        return status if self._ending else self.fail("exit", "Extension.SidecarEnded")

    def _end(self, sidecar: subprocess.Popen[bytes]) -> None:
        """Lambda answers when it shuts the environment down."""
        ask("GET", "/event/next", self._self)
        self._ending = True
        sidecar.terminate()


if __name__ == "__main__":
    raise SystemExit(Extension(os.path.basename(sys.argv[1])).run(sys.argv[2]))
