"""Both texts are those that prometheus_client, which knows them best, writes of the same families."""

from __future__ import annotations

from math import inf

import pytest
from biot_sidecar.telemetry.exposition import ROUTES_AT_ONCE, render, render_in_pieces
from biot_sidecar.telemetry.text_format import TEXT, Family, Sample, format_for, number, written
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar
from prometheus_client.utils import floatToGoString

from tests.telemetry.reading import OPENMETRICS, new_metrics, samples

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,9}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
LABELS = st.dictionaries(NAMES, TEXTS, max_size=3)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 2**60) | st.just(inf)
SUFFIXES = {"counter": "_total", "gauge": "", "info": "_info"}


class Told(Collector):
    """One family of the library's."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self):
        yield self._family


@given(
    name=NAMES.filter(lambda name: not name.endswith(("_total", "_created", "_gsum", "_gcount"))),
    kind=st.sampled_from(list(SUFFIXES)),
    text=TEXTS,
    series=st.lists(st.tuples(LABELS, NUMBERS), max_size=3),
)
def test_a_family_is_written_as_the_library_writes_it(name, kind, text, series):
    ours, theirs = Family(name, kind, text, []), Metric(name, text, kind)
    for labels, value in series:
        ours.add(value, labels.items())
        theirs.add_sample(name + SUFFIXES[kind], labels, value)
    asked = format_for(OPENMETRICS)
    assert TEXT.write(ours, head=True).encode() == exposition.generate_latest(Told(theirs))
    assert (asked.write(ours, head=True) + asked.end).encode() == openmetrics.generate_latest(Told(theirs))


@given(trace=TEXTS, seconds=st.floats(0, 1e9), at=st.floats(0, 1e10))
def test_an_exemplar_is_written_as_the_library_writes_it_and_for_openmetrics_alone(trace, seconds, at):
    exemplar = f" # {written([('trace_id', trace)])} {number(seconds)} {at}"
    ours = Family("wait", "histogram", "", [Sample("_bucket", written([("le", "1.0")]), number(3), exemplar)])
    theirs = Metric("wait", "", "histogram")
    theirs.add_sample("wait_bucket", {"le": "1.0"}, 3, exemplar=Exemplar({"trace_id": trace}, seconds, at))
    asked = format_for(OPENMETRICS)
    assert (asked.write(ours, head=True) + asked.end).encode() == openmetrics.generate_latest(Told(theirs))
    assert TEXT.write(ours, head=False) == 'wait_bucket{le="1.0"} 3.0\n'


@given(NUMBERS)
@example(0)
@example(999_999.5)
@example(1_000_000)
@example(-1_234_567.8)
@example(1e16)
@example(2.5e-7)
@example(True)
def test_a_number_is_written_as_go_writes_it(value):
    assert number(value) == floatToGoString(value)


def test_the_python_is_told_as_the_library_tells_it():
    (theirs,) = PlatformCollector(registry=CollectorRegistry()).collect()
    (sample,) = theirs.samples
    version = sample.labels["version"]
    ((_, labels),) = [key for key in samples(new_metrics(python=version)) if key[0] == theirs.name]
    assert dict(labels) == sample.labels


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_pieces_make_one_page_with_every_head_once(accept):
    metrics = new_metrics()
    names = [f"route {number}" for number in range(3 * ROUTES_AT_ONCE)]
    metrics.routes(names)
    seen = samples(metrics, accept=accept)
    assert {dict(labels)["route"] for name, labels in seen if name.endswith("request_duration_seconds_sum")} == {
        *names,
        "unmatched",
    }
    page = render([metrics.snapshot()], accept)[1].splitlines()
    heads = [line for line in page if line.startswith(b"# ")]
    assert len(heads) == len(set(heads))
    _, pieces = render_in_pieces([metrics.snapshot()], accept)
    assert max(piece.count(b"\n") for piece in pieces) < 32 * ROUTES_AT_ONCE
