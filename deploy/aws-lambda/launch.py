"""Every sidecar on AWS Lambda begins here: launch.py [EXTENSION], in the sidecar's own interpreter.

First what others wait for, which takes a sixth of the sidecar's start: its socket is bound, so that a plugin's first
call waits instead of being refused, and it is registered for Lambda's events. A line on standard output says so, and
the runtime may start beside the rest of the sidecar, which goes on in this process and asks for the events.

EXTENSION is the name in /opt/extensions for plugins deployed as IMAGE; without it this is an internal extension, which
Lambda does not tell of the environment's end.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
"""

import contextlib
import os
import socket
import sys

API = "/2020-01-01/extension"
FIRST_INHERITED = 3
BACKLOG = 128


def ask(path: str, fields: dict[str, str], body: bytes) -> dict[str, str]:
    """One POST of the Extensions API; the answer's header fields.

    http.client takes longer to import than to use; so does `idna`, with which Python encodes a host that is a str.
    """
    host, _, port = os.environ["AWS_LAMBDA_RUNTIME_API"].rpartition(":")
    lines = [f"POST {API}{path} HTTP/1.1", f"Host: {host}:{port}", "Connection: close"]
    lines += [f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in fields.items())]
    with socket.create_connection((host.encode(), int(port))) as sock:
        sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        head = b""
        while b"\r\n\r\n" not in head and (piece := sock.recv(4096)):
            head += piece
    first, *rest = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    if not first.startswith("HTTP/1.1 2"):
        raise OSError(f"Lambda answered {path} with {first!r}")
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}


def register(extension: str) -> str:
    """The identifier under which Lambda knows this extension."""
    events = b'{"events": ["INVOKE", "SHUTDOWN"]}' if extension else b'{"events": ["INVOKE"]}'
    fields = {"Lambda-Extension-Name": extension or "biot-sidecar", "Content-Type": "application/json"}
    return ask("/register", fields, events)["lambda-extension-identifier"]


def bind() -> bool:
    """Listen at SIDECAR_LISTEN, and hand the socket over as systemd would; True if that can be done before the rest.

    One address of loopback is bound here; whatever else is set, or wrong, the sidecar itself sees to, and tells of.
    """
    host, _, port = os.environ.get("SIDECAR_LISTEN", "127.0.0.1:8787").strip().rpartition(":")
    if host != "127.0.0.1" or not port.isdecimal() or port == "0" or "LISTEN_FDS" in os.environ:
        return False
    sock = socket.socket()
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, int(port)))
        sock.listen(BACKLOG)
    except (OSError, OverflowError):
        sock.close()
        return False
    if sock.fileno() != FIRST_INHERITED:
        os.dup2(sock.fileno(), FIRST_INHERITED, inheritable=False)
        sock.close()
    else:
        sock.detach()
    os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
    return True


def fail(extension: str, identifier: str, phase: str, kind: str) -> None:
    """Tell Lambda why, so that it replaces this environment. (Of an internal one it hears by the runtime's end.)"""
    if not (extension and identifier):
        return
    with contextlib.suppress(OSError):
        fields = {"Lambda-Extension-Identifier": identifier, "Lambda-Extension-Function-Error-Type": kind}
        ask(f"/{phase}/error", fields, b"{}")


def main(extension: str) -> int:
    """The exit status of the sidecar."""
    identifier = ""
    if os.environ.get("AWS_LAMBDA_RUNTIME_API"):
        try:
            identifier = os.environ["BIOT_SIDECAR_EXTENSION"] = register(extension)
        except OSError as error:
            if extension:
                raise SystemExit(f"biot-sidecar: {error}") from None
            sys.stderr.write(f"biot-sidecar: {error}; a call may last longer than its event\n")
    if bind():
        os.write(1, b"biot-sidecar listens\n")
        os.dup2(2, 1)  # whoever waited for the line reads no further; the ready line goes into the log
    sys.argv = [os.path.join(os.path.dirname(sys.path[0]), "bin", "biot-sidecar"), "serve"]
    from biot_sidecar.__main__ import main

    status = main()
    if status:
        fail(extension, identifier, "init", "Extension.SidecarDidNotStart")
    return status


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[0] = os.path.join(here, "lib")
    os.environ["SIDECAR_ROUTES"] = os.environ.get("SIDECAR_ROUTES") or os.path.join(here, "routes.yaml")
    raise SystemExit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
