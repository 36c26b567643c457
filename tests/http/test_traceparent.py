"""traceparent: which ones are valid, and the one we make."""

from __future__ import annotations

import itertools
from random import Random

import pytest
from biot_sidecar.http.traceparent import AT_ONCE, TraceparentGenerator, trace_id_of
from hypothesis import given
from hypothesis import strategies as st

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    "value", [f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-00", f"01-{TRACE}-{SPAN}-01-more", f"cc-{TRACE}-{SPAN}-ff"]
)
def test_the_trace_id_of_a_valid_traceparent_is_found(value):
    assert trace_id_of(value.encode()) == TRACE


@pytest.mark.parametrize(
    "value",
    [
        "",
        TRACE,
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f" 00-{TRACE}-{SPAN}-01",
        f"01-{TRACE}-{SPAN}-01x",
        f"00-{TRACE}-{SPAN}-01-more",
    ],
)
def test_what_is_no_traceparent_has_no_trace_id(value):
    assert trace_id_of(value.encode()) is None


@given(st.sampled_from([lambda bits: 0, lambda bits: 2**bits - 1]) | st.randoms().map(lambda it: it.getrandbits))
def test_whatever_the_random_bits_the_traceparents_made_of_them_are_valid(random_bits):
    traceparents = TraceparentGenerator(random_bits)
    for _ in range(2 * AT_ONCE + 1):
        made = traceparents.new(0.0)
        assert trace_id_of(made) == made[3:35].decode()
        assert len(made) == 55


def test_no_two_traceparents_share_an_id():
    traceparents = TraceparentGenerator(Random(7).getrandbits)
    made = [traceparents.new(0.0) for _ in range(10 * AT_ONCE)]
    assert len({one[3:35] for one in made}) == len({one[36:52] for one in made}) == len(made)


@given(st.binary(max_size=80))
def test_no_value_is_too_odd_to_be_judged(value):
    trace_id = trace_id_of(value)
    assert trace_id is None or len(trace_id) == 32


@pytest.mark.parametrize("apart", [1e9, -1e9, 0.6])
def test_a_clone_of_a_snapshot_makes_other_ids_than_its_siblings(apart):
    draws = itertools.chain([1, 1], itertools.count(2))
    original, clone = (TraceparentGenerator(lambda bits: next(draws)) for _ in range(2))
    assert clone.new(0.0) == original.new(0.0)  # what both hold since the snapshot
    assert clone.new(0.4) == original.new(-0.4)  # the clocks are only slewed
    assert clone.new(apart) != original.new(0.0)
    assert next(draws) == 3
