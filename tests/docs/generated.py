"""The parts of the pages that list what the code knows: `make docs` writes them anew, test_generated holds them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import yaml
from biot_sidecar.auth import backoff, login_client
from biot_sidecar.http import chunked, dialing, framing, listener, resolver, upstream_pool
from biot_sidecar.http.error_catalogue import CODES
from biot_sidecar.http.server import Limits
from biot_sidecar.routing import retry
from biot_sidecar.telemetry import snapshot as state
from biot_sidecar.telemetry.exposition import render
from prometheus_client.parser import text_string_to_metric_families

from tests.settings import page_table
from tests.support.finished import exchange
from tests.telemetry.reading import new_metrics

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
RULE = ROOT / "deploy" / "kubernetes" / "monitoring" / "prometheusrule.yaml"
PREFIX: Final = "biot_sidecar_"
OPEN_LABELS: Final = {
    "route": "a route's name, or `unmatched`",
    "method": "the method, or `_OTHER`",
    "status": "what the plugin got; 499: it was gone before",
    "version": "of the sidecar",
    "python": "its Python",
    "interception": "the route's: `off` `on` `client`",
}
"""Labels whose values are no short list."""


def codes() -> str:
    """The table of errors, by status."""
    rows = "".join(
        f"| [`{code.value}`](#{code.value.lower()}) | {meaning.status}{' or 414' if meaning.status == 431 else ''} "
        f"| `{meaning.proxy_error}` | {'`1`' if meaning.retry_after else ''} |\n"
        for code, meaning in CODES.items()
    )
    return f"| code | status | `Proxy-Status` error | `Retry-After` |\n|---|---|---|---|\n{rows}"


def metrics() -> str:
    """The table of the metrics of our own."""
    counted = new_metrics()
    counted.finished(exchange(interception="set"))
    counted.clock_compared(0.5)
    counted.secret_key_found(1_700_000_000.0, 1)
    counted.observing(["r"])
    _, page = render([counted.snapshot()], "")
    rows = "".join(
        f"| `{_shown_name(family)}` | {family.type} | {_labels(family)} | {family.documentation} |\n"
        for family in text_string_to_metric_families(page.decode())
        if family.name.startswith(PREFIX)
    )
    return f"| metric, without `{PREFIX}` | kind | labels | what it says |\n|---|---|---|---|\n{rows}"


def _shown_name(family: object) -> str:
    name = str(family.name).removeprefix(PREFIX)  # type: ignore[attr-defined]
    return {"counter": f"{name}_total"}.get(family.type, name)  # type: ignore[attr-defined]


def _labels(family: object) -> str:
    found: dict[str, list[str]] = {}
    for sample in family.samples:  # type: ignore[attr-defined]
        for label, value in sample.labels.items():
            if value not in found.setdefault(label, []):
                found[label].append(value)
    found.pop("le", None)
    return "; ".join(
        f"`{label}`: {OPEN_LABELS.get(label) or ' '.join(f'`{value}`' for value in values)}"
        for label, values in found.items()
    )


def alerts() -> str:
    """The table of alerts."""
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    rows = "".join(
        f"| [`{(name := rule['alert'])}`](#{name.lower()}) | {rule['labels']['severity']} "
        f"| {rule.get('for', 'at once')} | `{_one_line(rule['expr'])}` |\n"
        for group in groups
        for rule in group["rules"]
    )
    return f"| alert | severity | after | when |\n|---|---|---|---|\n{rows}"


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|").replace(PREFIX, "")


def refusals() -> str:
    """The reasons of refusals, in one line."""
    return ", ".join(f"`{reason}`" for reason in state.REFUSALS) + "\n"


def limits() -> str:
    """The numbers that no setting changes."""
    times = Limits()
    fields = f"{_size(framing.FIELDS_LIMIT)}, {framing.FIELD_COUNT_LIMIT} fields"
    budget = (
        f"{retry.BUDGET_SHARE:.0%} of the last {retry.BUDGET_WINDOW:g} s' requests, but {retry.BUDGET_LEAST} always"
    )
    pause = f"{backoff.FIRST_BLOCK_SECONDS:g} s to {backoff.LONGEST_BLOCK_SECONDS / 60:g} min"
    rows = (
        ("a request's line", _size(framing.START_LINE_LIMIT)),
        ("a header block, towards the plugin and BioT alike", fields),
        ("chunk extensions of a body", _size(chunked.EXTENSIONS_LIMIT)),
        ("a body", "none"),
        ("of a body kept for a second try", _size(listener.REPLAY_LIMIT)),
        ("further tries", f"{retry.MORE_TRIES}; of all requests {budget}"),
        ("until a request's head is there", f"{times.head:g} s"),
        ("without a byte of a body", f"{times.stall:g} s"),
        ("a plugin's connection at rest", f"{times.idle / 60:g} min"),
        ("a connection to BioT at rest", f"{upstream_pool.IDLE_LIMIT:g} s"),
        ("to connect to BioT, once its name is looked up", f"{dialing.CONNECT_TIMEOUT:g} s"),
        ("to look its name up; for how long the answer is kept", f"{dialing.LOOK_UP_TIMEOUT:g} s; {resolver.KEPT:g} s"),
        ("a login", f"{login_client.TIMEOUT_SECONDS:g} s"),
        ("the pause after a login that BioT rejected", pause),
    )
    return "| what | limit |\n|---|---|\n" + "".join(f"| {what} | {limit} |\n" for what, limit in rows)


def _size(count: int) -> str:
    return f"{count // 1024} KiB"


def prometheus_rule() -> str:
    """The alerts once more, as the Prometheus operator takes them."""
    head = (
        "# The alerts of deploy/prometheus/alerts.yml for the Prometheus operator; made by `make docs`.\n"
        "apiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\nmetadata:\n  name: biot-sidecar\n"
        "  labels: {app.kubernetes.io/name: biot-plugin}\nspec:\n"
    )
    lines = ALERTS.read_text(encoding="utf-8").splitlines()
    rules = lines[lines.index("groups:") :]
    return head + "".join(f"  {line}".rstrip() + "\n" for line in rules)


BLOCKS: Final[dict[str, dict[str, Callable[[], str]]]] = {
    "errors.md": {"codes": codes},
    "metrics.md": {"metrics": metrics, "alerts": alerts},
    "limits.md": {"limits": limits},
    "log.md": {"refusals": refusals},
    "settings.md": {"settings": page_table.table},
}
"""Page -> what is made in it."""


def marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: made by `make docs` -->\n", f"<!-- end of {name} -->\n"


def inside(text: str, name: str) -> str:
    """What a page has now where that block belongs."""
    begin, end = marks(name)
    _before, mark, rest = text.partition(begin)
    assert mark, f"{name} has no place"
    found, mark, _ = rest.partition(end)
    assert mark, f"{name} has no end"
    return found.strip("\n") + "\n"


def put(text: str, name: str, made: str) -> str:
    """The page with that block made anew; blank lines around it make it Markdown of its own."""
    begin, end = marks(name)
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n{made}\n{end}{rest.partition(end)[2]}"


if __name__ == "__main__":
    for page, blocks in BLOCKS.items():
        text = (DOCS / page).read_text(encoding="utf-8")
        for name, make in blocks.items():
            text = put(text, name, make())
        (DOCS / page).write_text(text, encoding="utf-8")
    RULE.write_text(prometheus_rule(), encoding="utf-8")
