"""Moments in text."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

import pytest
from biot_sidecar.http.local_responses import http_date
from biot_sidecar.timestamps import read_certificate_time, read_http_date
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(0, 253_402_300_799))
def test_every_date_of_http_is_read_as_it_was_written(moment):
    assert read_http_date(http_date(moment).encode()) == moment


@pytest.mark.parametrize(
    "text", [b"", b"soon", b"Sun, 06 Nov 1994 08:49:37", b"Sun, 31 Feb 1994 08:49:37 GMT",
             b"Sun, 06 nov 1994 08:49:37 GMT",
             b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun, 06 Nov 1994 25:49:37 GMT", b"Sun, 06 Nov 0000 08:49:37 GMT"],
)  # fmt: skip
def test_anything_else_is_no_date(text):
    assert read_http_date(text) is None


@given(st.integers(0, 253_402_300_799))
def test_a_certificates_time_is_read_as_ssl_reads_it(moment):
    months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    at = datetime.fromtimestamp(moment, UTC)
    text = f"{months[at.month - 1]} {at.day:2} {at:%H:%M:%S} {at.year:04} GMT"  # %b would be the locale's
    assert read_certificate_time(text) == ssl.cert_time_to_seconds(text) == moment


@pytest.mark.parametrize(
    "text", ["", "soon", "Jun  9 12:00:00 2027", "Jun 31 12:00:00 2027 GMT", "9 Jun 2027 12:00 GMT"]
)
def test_what_is_no_certificates_time_is_none(text):
    assert read_certificate_time(text) is None
