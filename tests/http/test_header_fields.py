"""What a field's name means, in any case and spelling."""

from __future__ import annotations

import contextlib

import pytest
from biot_sidecar.http import header_fields
from biot_sidecar.http.header_fields import (
    HOP_BY_HOP_KINDS,
    KINDS,
    NOT_FORWARDED,
    BadFields,
    FieldParser,
    Kind,
    classify_fields,
    kind_of,
    parse_fields,
)
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_a_known_name_is_known_in_any_case(name, kind):
    assert kind_of(name) == kind_of(name.upper()) == kind_of(name.title()) == kind


def test_no_more_names_are_remembered_than_senders_have_and_none_that_is_long():
    header_fields._known.clear()
    assert kind_of(b"x" * 65) == kind_of(b"x" * 65)
    assert not header_fields._known
    for number in range(2100):
        kind_of(b"x-%d" % number)
    assert len(header_fields._known) == 2048
    header_fields._known.clear()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (b"allow_interception", Kind.LOOKALIKE),
        (b"Allow~Interception", Kind.LOOKALIKE),
        (b"transfer.encoding", Kind.LOOKALIKE),
        (b"Content_Length", Kind.LOOKALIKE),
        (b"x-host", Kind.PLAIN),
        (b"user_agent", Kind.PLAIN),
        (b"trailer", Kind.PLAIN),
        (b"", Kind.PLAIN),
    ],
)
def test_another_spelling_of_ours_is_an_alias_and_anything_else_is_plain(name, kind):
    assert kind_of(name) == kind


def test_names_without_end_do_not_fill_the_memory():
    before = [kind_of(b"x-%d" % number) for number in range(5000)]
    assert set(before) == {Kind.PLAIN}
    assert kind_of(b"Authorization") == Kind.AUTHORIZATION


def test_fields_are_sorted_into_lines_and_what_means_something():
    fields = [(b"X", b"1"), (b"Host", b" a "), (b"TE", b"trailers"), (b"User-Agent", b"u"), (b"te", b"x")]
    lines, known_fields = classify_fields(fields, NOT_FORWARDED)
    assert lines == [b"X: 1", b"User-Agent: u"]
    assert known_fields == {Kind.HOST: [b"a"], Kind.TE: [b"trailers", b"x"], Kind.USER_AGENT: [b"u"]}


def test_an_answers_host_is_nobodys_business():
    assert classify_fields([(b"Host", b"a")], HOP_BY_HOP_KINDS)[0] == [b"Host: a"]


@pytest.mark.parametrize(
    ("section", "words"),
    [
        (b"x: a\rb\r\n\r\n", "bare CR"),
        (b"x: a\r\n b\r\n\r\n", "folded"),
        (b" x: a\r\n\r\n", "white space stands before the first header"),
        (b"x y: a\r\n\r\n", "a header name holds a character"),
        (b"x: \x01\r\n\r\n", "control character"),
        (b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "stand together"),
        (b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n", "repeated"),
        (b"Content-Length: 99999999999999999999\r\n\r\n", "too large"),
        (b"Content-Length: x\r\n\r\n", "not a plain number"),
        (b"Content-Length:\r\n\r\n", "Content-Length is empty"),
        (b"x: unfinished", "malformed"),
    ],
)
def test_a_malformed_section_is_refused_in_plain_words(section, words):
    with pytest.raises(BadFields) as caught:
        parse_fields(section)
    assert words in str(caught.value)


@given(st.binary(max_size=60))
def test_a_refused_section_leaves_nothing_behind_for_the_next(section):
    with contextlib.suppress(BadFields):
        parse_fields(section + b"\r\n\r\n")
    assert parse_fields(b"X: y\r\n\r\n") == [(b"X", b"y")]


LINES = st.sampled_from(
    [
        b"Connection: close",
        b"Connection: Keep-Alive, close",
        b"Connection: upgrade",
        b"Upgrade: h2c",
        b"Content-Length: 8388619",
        b"Content-Length: 0",
        b"Transfer-Encoding: chunked",
        b"Transfer-Encoding: gzip",
        b"Proxy-Connection: close",
        b"X: y",
        b"x y",
    ]
)
SECTION = st.lists(LINES, max_size=4, unique=True).map(
    lambda lines: b"".join(line + b"\r\n" for line in lines) + b"\r\n"
)


def reading(parse, section):
    """The fields, or the complaint."""
    try:
        return parse(section)
    except BadFields as error:
        return str(error)


@given(st.lists(SECTION, min_size=2, max_size=12))
def test_what_was_read_before_changes_nothing(sections):
    for section in sections:
        assert reading(parse_fields, section) == reading(FieldParser().parse, section)


def test_a_thousand_closing_messages_with_a_length_are_read_alike():
    section = b"Connection: close\r\nContent-Length: 2\r\n\r\n"
    assert all(len(parse_fields(section)) == 2 for _ in range(1000))
