"""AWS Lambda on your desk: its Runtime and Extensions API, and an environment that starts, freezes, thaws and ends.

Source: AWS Lambda developer guide: execution environment, Extensions API (2020-01-01), Runtime API (2018-06-01).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

DEADLINE = 30.0
"""Seconds after which a wait of this emulation gives up; Lambda itself allows 10 for the start."""
RUNTIME = "runtime"


class LambdaApi:
    """What both APIs know: who asked for the next event, what was answered, what went wrong."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._events: list[tuple[str, dict[str, Any]]] = []
        self._asked = 0
        self.names: dict[str, str] = {}  # extension identifier -> name
        self.events: dict[str, list[str]] = {}  # name -> what it registered for
        self.external: set[str] = set()  # names in /opt/extensions
        self.refuses = False  # registrations, as once the runtime has asked for its first event
        self.refused = 0
        self._deadline = 0.0  # of the event under way, wall-clock seconds
        self._told: dict[str, int] = {}  # extension identifier -> how many events it has heard of
        self._invoked = 0
        self.waiting: set[str] = set()  # who asks for the next event right now
        self.answers: dict[str, Any] = {}
        self.errors: list[str] = []  # error types that were reported
        self.ending = False
        self._server = _Server(self)
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> LambdaApi:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.end()
        self._server.shutdown()
        self._server.server_close()

    # ---- what the processes of an environment ask

    def register(self, name: str, events: list[str]) -> str:
        """Raises ValueError: Lambda tells of the end only those that do not end with the runtime."""
        if self.refuses:
            with self._changed:
                self.refused += 1
                self._changed.notify_all()
            raise ValueError("Extension.RegistrationClosed")
        if name not in self.external and "SHUTDOWN" in events:
            raise ValueError("Extension.ShutdownEventNotSupportedForInternalExtension")
        identifier = str(uuid.uuid4())
        with self._changed:
            self.names[identifier] = name
            self.events[name] = events
            self._told[identifier] = self._invoked
            self._changed.notify_all()
        return identifier

    def next_for_extension(self, identifier: str) -> dict[str, Any]:
        name = self.names[identifier]
        invoked = "INVOKE" in self.events[name]
        self._wait_as(name, lambda: self.ending or (invoked and self._told[identifier] < self._invoked))
        if not self.ending:
            self._told[identifier] = self._invoked
            return {"eventType": "INVOKE", "deadlineMs": round(self._deadline * 1000), "requestId": str(uuid.uuid4())}
        if "SHUTDOWN" not in self.events[name]:
            threading.Event().wait()  # an internal one ends with its runtime
        return {"eventType": "SHUTDOWN", "shutdownReason": "spindown", "deadlineMs": 2000}

    def next_for_runtime(self) -> tuple[str, dict[str, Any]] | None:
        self._wait_as(RUNTIME, lambda: bool(self._events) or self.ending)
        with self._changed:
            return self._events.pop(0) if self._events else None

    def deadline_field(self) -> tuple[str, str]:
        return "Lambda-Runtime-Deadline-Ms", str(round(self._deadline * 1000))

    def answer(self, request_id: str, body: Any) -> None:
        with self._changed:
            self.answers[request_id] = body
            self._changed.notify_all()

    def fail(self, kind: str) -> None:
        with self._changed:
            self.errors.append(kind)
            self._changed.notify_all()

    def _wait_as(self, name: str, ready: Any) -> None:
        with self._changed:
            self.waiting.add(name)
            self._asked += 1
            self._changed.notify_all()
            self._changed.wait_for(ready)
            self.waiting.discard(name)

    # ---- what Lambda does

    def wait_for(self, ready: Any) -> bool:
        """True when `ready()` came true, False when an error was reported first or nothing came."""
        with self._changed:
            self._changed.wait_for(lambda: ready() or bool(self.errors), DEADLINE)
            return bool(ready())

    def invoke(self, event: dict[str, Any], timeout: float = DEADLINE) -> Any:
        """The handler's answer, once the runtime and the extensions have asked for the next event."""
        with self._changed:
            asked = self._asked
            hear = sum("INVOKE" in events for events in self.events.values())
            request_id = self.begin(event, timeout)
        assert self.wait_for(lambda: request_id in self.answers and self._asked > asked + hear), self.errors
        return self.answers[request_id]

    def begin(self, event: dict[str, Any], timeout: float) -> str:
        """Tell everybody of an event; its identifier."""
        request_id = str(uuid.uuid4())
        with self._changed:
            self._deadline = time.time() + timeout
            self._invoked += 1
            self._events.append((request_id, event))
            self._changed.notify_all()
        return request_id

    def end(self) -> None:
        with self._changed:
            self.ending = True
            self._changed.notify_all()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, api: LambdaApi) -> None:
        super().__init__(("127.0.0.1", 0), _handler_of(api))
        self._api = api

    def handle_error(self, request: object, client_address: object) -> None:
        """A killed process hangs up, and that is fine; whatever else goes wrong fails the test."""
        error = sys.exception()
        if not isinstance(error, ConnectionError):
            self._api.fail(f"the emulation: {error!r}")


def _handler_of(api: LambdaApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            if self.path == "/2020-01-01/extension/event/next":
                return self._reply(200, api.next_for_extension(self.headers["Lambda-Extension-Identifier"]))
            assert self.path == "/2018-06-01/runtime/invocation/next", self.path
            found = api.next_for_runtime()
            if found is None:
                return self.close()
            return self._reply(200, found[1], ("Lambda-Runtime-Aws-Request-Id", found[0]), api.deadline_field())

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            match self.path.split("/")[2:]:
                case ["extension", "register"]:
                    name = self.headers["Lambda-Extension-Name"]
                    try:
                        identifier = ("Lambda-Extension-Identifier", api.register(name, body["events"]))
                    except ValueError as error:
                        return self._reply(403, {"errorType": str(error)})
                    return self._reply(200, {"functionName": "plugin", "handler": "index.handler"}, identifier)
                case ["extension", "init" | "exit", "error"]:
                    api.fail(self.headers["Lambda-Extension-Function-Error-Type"])
                case ["runtime", "invocation", request_id, "response"]:
                    api.answer(request_id, body)
                case ["runtime", *_, "error"]:
                    api.fail(f"{body['errorType']}: {body['errorMessage']}")
                case _:
                    raise AssertionError(self.path)
            return self._reply(202, {"status": "OK"})

        def _reply(self, status: int, body: dict[str, Any], *fields: tuple[str, str]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            for name, value in (*fields, ("Content-Type", "application/json"), ("Content-Length", str(len(data)))):
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def close(self) -> None:
            self.close_connection = True

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Quiet."""

    return Handler


class Environment:
    """One execution environment: the extensions and the runtime, as processes of one session each."""

    def __init__(self, api: LambdaApi, folder: Path, variables: dict[str, str]) -> None:
        self._api = api
        self._folder = folder
        self._variables = {**variables, "AWS_LAMBDA_RUNTIME_API": api.address}
        self.within: list[str] = []  # what starts each process, such as a program that holds it to a share of a core
        self.extensions: list[subprocess.Popen[bytes]] = []
        self.runtime: subprocess.Popen[bytes] | None = None

    def start(self, runtime: list[str], *extensions: Path) -> bool:
        """The init phase: True once everyone has asked for the next event, False when one reported an error."""
        self._api.external = {path.name for path in extensions}
        self.extensions = [self._spawn([str(path)]) for path in extensions]
        for extension in self.extensions:
            threading.Thread(target=self._watch, args=(extension, "Extension.Crash"), daemon=True).start()
        if not self._api.wait_for(lambda: len(self._api.names) == len(extensions)):
            return False
        self.runtime = self._spawn(runtime)
        threading.Thread(target=self._watch, args=(self.runtime, "Runtime.ExitError"), daemon=True).start()
        return self._api.wait_for(lambda: self._api.waiting == {RUNTIME, *self._api.names.values()})

    def _watch(self, process: subprocess.Popen[bytes], kind: str) -> None:
        process.wait()
        if not self._api.ending:
            self._api.fail(kind)

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                [*self.within, *command],
                env=self._variables,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def shut_down(self) -> list[int]:
        """The shutdown phase; the extensions' exit statuses. Lambda would allow 2 s and kill what is left."""
        assert self.runtime is not None
        self.runtime.terminate()
        self.runtime.wait(DEADLINE)
        self._api.end()
        return [process.wait(DEADLINE) for process in self.extensions]

    def kill(self) -> None:
        """Nothing of the environment is left."""
        self._signal(signal.SIGKILL)
        for process in self._started():
            process.wait(DEADLINE)

    def processes(self) -> dict[int, str]:
        """Everything that runs in the environment: pid -> command line."""
        sessions = {process.pid for process in self._started()}
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                after_name = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(after_name[3]) in sessions and after_name[0] != "Z":
                    found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
            except (FileNotFoundError, ProcessLookupError):
                continue  # it ended meanwhile
        return found

    def memory(self) -> dict[str, int]:
        """Proportional memory in bytes, by pid and command line."""
        return {f"{pid} {command}": _proportional(pid) for pid, command in self.processes().items()}

    def _started(self) -> list[subprocess.Popen[bytes]]:
        return [*self.extensions, *([self.runtime] if self.runtime else [])]

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue  # it ended meanwhile


def _proportional(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no memory of process {pid}")
