"""How long BioT asks us to wait."""

from __future__ import annotations

import pytest
from biot_sidecar.http.retry_after import retry_after
from hypothesis import given
from hypothesis import strategies as st

NOW = 1_445_412_400.0  # Wed, 21 Oct 2015 07:26:40 GMT


@pytest.mark.parametrize(
    ("values", "seconds"),
    [
        ([], 0.0),
        ([b"0"], 0.0),
        ([b"7"], 7.0),
        ([b"7", b"9"], 7.0),
        ([b"99999999999999999999"], 999999.0),
        ([b"Wed, 21 Oct 2015 07:28:00 GMT"], 80.0),
        ([b"Wed, 21 Oct 2015 07:26:00 GMT"], 0.0),
        ([b"-1"], 0.0),
        ([b"1.5"], 0.0),
        ([b"soon"], 0.0),
        ([b""], 0.0),
        ([b"\xb2"], 0.0),
        ([b"Wed, 99 Oct 2015 07:28:00 GMT"], 0.0),
        ([b"Wed, 21 Oct 99999999999999999999 07:28:00 GMT"], 0.0),
        ([b"Wed, 21 Oct 2015 07:28:00 +99999999999999"], 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_nothing_else(values, seconds):
    assert retry_after(values, NOW) == seconds


@given(st.binary(max_size=40))
def test_no_retry_after_is_too_odd_to_be_read(value):
    assert retry_after([value], NOW) >= 0.0


@given(
    st.from_regex(
        rb"[A-Z][a-z]{2}, [0-9]{1,30} (Jan|Feb|Xyz) [0-9]{1,30} [0-9]{1,20}(:[0-9]{1,20}){0,3}( [+-]?[0-9A-Z]{1,20})?",
        fullmatch=True,
    )
)
def test_no_date_is_too_far_away_to_be_read(value):
    assert retry_after([value], NOW) >= 0.0
