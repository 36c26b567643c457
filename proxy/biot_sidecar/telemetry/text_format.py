"""The two texts that metrics are told in, Prometheus' own and OpenMetrics 1.0, and which of them a scraper gets.

https://prometheus.io/docs/instrumenting/exposition_formats, https://prometheus.io/docs/specs/om/open_metrics_spec.
OpenMetrics names a counter without its `_total` in the family's head, has a type for an info, exemplars and a last
line. Names are letters, digits and `_` here, which no scheme of escaping changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from math import inf
from typing import Final, Literal

import msgspec

Labels = Iterable[tuple[str, str]]
_HELP_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n"})
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
_SUFFIX: Final = {"counter": "_total", "info": "_info"}
_PLAIN_DIGITS: Final = 6
"""Digits before the point; Go writes a number that has more with an exponent."""
# What a scraper may ask for. The answer's Content-Type has none of its words.
_WANTED: Final = re.compile(
    r"(application/openmetrics-text|text/plain)"
    r"(?:\s*;\s*(?:version=(0\.0\.1|0\.0\.4|1\.0\.0)|escaping=(?:allow-utf-8|underscores|dots|values)"
    r"|charset=utf-8|q=(?:0\.\d{0,2}[1-9]|1(?:\.0{1,3})?)))*"
)


class Sample(msgspec.Struct, eq=False):
    """A line of a family: what its name ends with, its labels and value, and an exemplar, all as they are written."""

    suffix: str
    labels: str
    value: str
    exemplar: str = ""


class Family(msgspec.Struct, eq=False):
    """Samples that have a name in common."""

    name: str
    kind: Literal["counter", "gauge", "histogram", "info"]
    text: str
    samples: list[Sample]

    def add(self, value: float, labels: Labels = ()) -> None:
        """One more series."""
        self.samples.append(Sample(_SUFFIX.get(self.kind, ""), written(labels), number(value)))


class TextFormat:
    """Prometheus' text format (`openmetrics`: OpenMetrics), under the name `content_type`."""

    def __init__(self, content_type: str, *, openmetrics: bool) -> None:
        self.content_type = content_type
        self.end = "# EOF\n" if openmetrics else ""
        self._openmetrics = openmetrics

    def write(self, family: Family, *, head: bool) -> str:
        """The family's lines, behind its head if that was not written before."""
        name, openmetrics = family.name, self._openmetrics
        lines = [
            f"{name}{one.suffix}{one.labels} {one.value}{one.exemplar if openmetrics else ''}\n"
            for one in family.samples
        ]
        return "".join([self._head(family) * head, *lines])

    def _head(self, family: Family) -> str:
        name, kind, escapes = family.name, family.kind, _ESCAPES
        if not self._openmetrics:
            name, escapes = name + _SUFFIX.get(kind, ""), _HELP_ESCAPES
            kind = "gauge" if kind == "info" else kind
        return f"# HELP {name} {family.text.translate(escapes)}\n# TYPE {name} {kind}\n"


TEXT: Final = TextFormat("text/plain; version=0.0.4; charset=utf-8", openmetrics=False)
_TEXT_1: Final = TextFormat("text/plain; version=1.0.0; charset=utf-8; escaping=underscores", openmetrics=False)
_OPENMETRICS: Final = TextFormat("application/openmetrics-text; version=1.0.0; charset=utf-8", openmetrics=True)
_FORMATS: Final = {
    ("application/openmetrics-text", None): _OPENMETRICS,
    ("application/openmetrics-text", "1.0.0"): _OPENMETRICS,
    ("text/plain", "1.0.0"): _TEXT_1,
}


def format_for(accept: str) -> TextFormat:
    """The first format of a scraper's Accept field that is newer than Prometheus' text format 0.0.4, or that."""
    for part in accept.split(","):
        wanted = _WANTED.fullmatch(part.strip())
        if wanted is not None and (found := _FORMATS.get((wanted[1], wanted[2]))) is not None:
            return found
    return TEXT


def written(labels: Labels) -> str:
    """Labels in the order of their names."""
    pairs = ",".join([f'{name}="{value.translate(_ESCAPES)}"' for name, value in sorted(labels)])
    return f"{{{pairs}}}" if pairs else ""


def number(value: float) -> str:
    """As Go writes a float, which has an exponent from a million on."""
    if value == inf:
        return "+Inf"
    text = repr(float(value))
    point = text.find(".")
    if point <= _PLAIN_DIGITS or value < 0:
        return text
    digits = f"{text[0]}.{text[1:point]}{text[point + 1 :]}".rstrip("0").rstrip(".")
    return f"{digits}e+{point - 1:02d}"
