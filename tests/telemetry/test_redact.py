"""Which words of a query may be shown."""

from __future__ import annotations

import pytest
from biot_sidecar.telemetry.redact import HIDDEN, MAX_KEYS, printable, query_keys
from hypothesis import given
from hypothesis import strategies as st

JWT = b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJlIG9mIG5vIGltcG9ydGFuY2U"


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        (b"", []),
        (b"page=1&limit=10", ["page", "limit"]),
        (b"page=1&&limit=10&", ["page", "limit"]),
        (b"searchRequest=%7B%22filter%22:1%7D", ["searchRequest"]),
        (b'searchRequest={"a":"b=c"}', ["searchRequest"]),
        (b"filter%5Bname%5D=x", ["filter[name]"]),
        (b"_id.$in=x", ["_id.$in"]),
        (b"a=1;b=2", ["a"]),
        (b"a==", [HIDDEN]),
        (b"justavalue", [HIDDEN]),
        (b'{"patient":"John"}', [HIDDEN]),
        (b'{"patient":"John"}=1', [HIDDEN]),
        (b"%7B%22patient%22:%22John%22%7D=1", [HIDDEN]),
        (b"dGVzdA==", [HIDDEN]),
        (JWT, [HIDDEN]),
        (JWT + b"=1", [HIDDEN]),
        (b"John%20Smith=1", [HIDDEN]),
        (b"John+Smith=1", [HIDDEN]),
        (b"a%0a=1", [HIDDEN]),
        (b"%zz=1", [HIDDEN]),
        (b"\xc3\xa9=1", [HIDDEN]),
        (b"=1", [HIDDEN]),
        (b"0521234567=1", [HIDDEN]),
        (b"k" * 64 + b"=1", ["k" * 64]),
        (b"k" * 65 + b"=1", [HIDDEN]),
        (b"%6b" * 64 + b"=1", ["k" * 64]),
        (b"%6b" * 65 + b"=1", [HIDDEN]),
    ],
)
def test_only_what_looks_like_a_name_is_shown(query, keys):
    assert query_keys(query) == keys


def test_no_more_than_sixteen_names_are_shown():
    assert len(query_keys(b"&".join(b"k%d=1" % number for number in range(1000)))) == MAX_KEYS


@given(st.binary(max_size=300))
def test_names_are_short_plain_and_few_whatever_the_query(query):
    keys = query_keys(query)
    assert len(keys) <= MAX_KEYS
    assert all(key.isascii() and key.isprintable() and " " not in key and len(key) <= 64 for key in keys)


@given(st.lists(st.tuples(st.from_regex(rb"[a-z]{1,8}", fullmatch=True), st.binary(min_size=1, max_size=20))))
def test_values_leave_no_trace(pairs):
    def harmless(value):
        return b"v" + value.replace(b"&", b"").replace(b"=", b"")

    keys = query_keys(b"&".join(name + b"=" + harmless(value) for name, value in pairs))
    assert keys == [name.decode() for name, _ in pairs[:MAX_KEYS]]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, żółć too", "plain, żółć too"),
        ("two\nlines\r", "two\\nlines\\r"),
        ("\x1b[31mred\x9b0m", "\\x1b[31mred\\x9b0m"),
        ("right\u202eleft\u2028", "right\\u202eleft\\u2028"),
        ("half \udcff", "half \\udcff"),
    ],
)
def test_what_a_terminal_might_act_on_is_escaped(text, shown):
    assert printable(text) == shown
