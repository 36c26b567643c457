"""Reads what /metrics says, with prometheus_client's own parsers."""

from __future__ import annotations

from typing import Any

from biot_sidecar.telemetry.exposition import render
from biot_sidecar.telemetry.metrics import Metrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

OPENMETRICS = "application/openmetrics-text;version=1.0.0"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], Any]


def new_metrics(python: str = "3.11.7") -> Metrics:
    return Metrics(version="1.2.3", python=python)


def samples(*metrics: Metrics, accept: str = "") -> Samples:
    """Every sample by its name and labels; a name and labels that come twice are an error."""
    _, body = render([one.snapshot() for one in metrics], accept)
    parse = parse_openmetrics if "openmetrics" in accept else parse_text
    found: Samples = {}
    for family in parse(body.decode()):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, key
            found[key] = sample
    return found


def value(of: Samples, name: str, **labels: str) -> float:
    """A sample's value; `name` without the prefix. KeyError if there is none."""
    return of["biot_sidecar_" + name, frozenset(labels.items())].value


def label_sets(of: Samples, name: str) -> set[frozenset[tuple[str, str]]]:
    """The labels of every series of that name."""
    return {labels for found, labels in of if found == "biot_sidecar_" + name}
