"""Durations as people write them."""

import pytest
from biot_sidecar.durations import parse_duration, show_duration
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0.0), ("250ms", 0.25), ("30s", 30.0), ("5m", 300.0), ("1h", 3600.0), ("1m30s", 90.0), ("1.5s", 1.5)],
)
def test_reads_a_number_and_a_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "30", "5 m", "-1s", "s", "1d", "1e3s", "٣s", "1h\n", "999999h"])
def test_refuses_everything_else_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|week"):
        parse_duration(text)


@given(st.integers(0, 7 * 24 * 3600 * 1000))
def test_what_it_shows_it_can_read(milliseconds: int) -> None:
    seconds = milliseconds // 1000 if milliseconds >= 1000 else milliseconds / 1000
    assert parse_duration(show_duration(seconds)) == pytest.approx(seconds, rel=1e-5)


def test_hours_are_written_out() -> None:
    assert show_duration(8000 * 365.25 * 24 * 3600 + 61) == "70128000h1m1s"
