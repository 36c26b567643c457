"""A real Prometheus of a test's own: it holds histories that are made beforehand, and scrapes what is told."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from tests.deploy.programs import DEADLINE, PLAIN
from tests.support.ports import free_port

Result = list[tuple[dict[str, str], float]]


class Prometheus:
    """What it answers to queries."""

    def __init__(self, url: str) -> None:
        self._url = url

    def query(self, text: str, at: float | None = None) -> Result:
        """Labels and value of each series of an instant vector. Raises ValueError for what is no query."""
        asked = {"query": text} | ({} if at is None else {"time": f"{at:.3f}"})
        told = self._ask("/api/v1/query", asked)
        if told["resultType"] == "scalar":
            return [({}, float(told["result"][1]))]
        return [(one["metric"], float(one["value"][1])) for one in told["result"]]

    def until(self, text: str) -> Result:
        """What it answers once it answers anything."""
        end = monotonic() + DEADLINE
        while not (found := self.query(text)):
            assert monotonic() < end, text
            sleep(0.2)
        return found

    def ready(self) -> bool:
        try:
            with urlopen(f"{self._url}/-/ready", timeout=DEADLINE):
                return True
        except (URLError, ConnectionError):
            return False

    def _ask(self, path: str, asked: dict[str, str]) -> Any:
        try:
            with urlopen(f"{self._url}{path}?{urlencode(asked)}", timeout=DEADLINE) as answer:
                return json.load(answer)["data"]
        except URLError as error:
            read = getattr(error, "read", bytes)
            raise ValueError(f"{asked['query']}: {read().decode()}") from error


def history(samples: dict[float, dict[tuple[str, frozenset[tuple[str, str]]], Any]], **labels: str) -> str:
    """OpenMetrics lines of a target that was scraped at these times (wall-clock seconds)."""
    lines: dict[tuple[str, str], list[str]] = {}
    for at, found in samples.items():
        for (name, own), sample in found.items():
            if math.isnan(sample.value):
                continue
            shown = ",".join(f"{label}={json.dumps(text)}" for label, text in sorted([*own, *labels.items()]))
            lines.setdefault((name, shown), []).append(f"{name}{{{shown}}} {sample.value} {at:.3f}")
    return "".join(line + "\n" for series in lines.values() for line in series)


@contextmanager
def prometheus(folder: Path, histories: list[str], config: dict[str, Any]) -> Iterator[Prometheus]:
    """It runs with these histories in its store, and with `config`."""
    (folder / "history.txt").write_text("".join(histories) + "# EOF\n")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    backfill = ["promtool", "tsdb", "create-blocks-from", "openmetrics", folder / "history.txt", folder / "data"]
    subprocess.run(backfill, env=PLAIN, check=True, capture_output=True, timeout=DEADLINE)
    port = free_port()
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, env=PLAIN, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        server = Prometheus(f"http://127.0.0.1:{port}")
        end = monotonic() + DEADLINE
        while not server.ready():
            assert process.poll() is None, (folder / "prometheus.log").read_text()
            assert monotonic() < end, (folder / "prometheus.log").read_text()
            sleep(0.1)
        yield server
    finally:
        process.kill()
        process.wait(DEADLINE)
