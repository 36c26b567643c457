"""Where a message begins and ends, and which ones are too ambiguous to pass on (RFC 9112, sections 2 to 7 and 11).

The theory: request smuggling lives where two readers of the same bytes disagree. So a head is taken only if every
careful reader would read it alike; anything else is rejected, and the connection it came on is closed, since nobody can
know where the next message starts.

    request body    Transfer-Encoding   Content-Length   reading
                    none                none             no body
                    none                one number       that many bytes
                    `chunked`, alone    none             chunks
                    anything else       any              rejected
    answer body     1xx, 204: none      none, or 0       no body
                    HEAD, 304: as above any sane one     no body
                    as above, else                       until the connection closes
"""

from __future__ import annotations

import re
from typing import Final

from biot_sidecar.bounded_cache import KEY_LIMIT, BoundedCache
from biot_sidecar.errors import ClientError
from biot_sidecar.http.error_catalogue import fields_too_large, malformed_request, target_too_large, untrusted_response
from biot_sidecar.http.header_fields import (
    HOP_BY_HOP_KINDS,
    NOT_FORWARDED,
    BadFields,
    Kind,
    bits_of,
    classify_fields,
    may_be_remembered,
    parse_fields,
    without_ows,
)
from biot_sidecar.http.messages import (
    BODY_CHUNKED,
    BODY_LENGTH,
    BODY_UNTIL_CLOSE,
    NO_BODY,
    Framing,
    Headers,
    RequestHead,
    ResponseHead,
)

START_LINE_LIMIT: Final = 64 * 1024
FIELDS_LIMIT: Final = 64 * 1024
FIELD_COUNT_LIMIT: Final = 256
INTERIM_MOST: Final = 32
HEAD_LIMIT: Final = START_LINE_LIMIT + FIELDS_LIMIT
LENGTH_LIMIT: Final = 2**63

# A method is a token; a target holds no white space, control character or `#` (RFC 9110, 5.6.2; RFC 9112, 3.2).
_REQUEST_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([^\x00-\x20\x7f#]+) HTTP/1\.([01])")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?")
_VERSION: Final = b"HTTP/1."
_DIGITS: Final = re.compile(rb"[0-9]{1,19}")
# Seen before a head is whole: what no continuation can make right.
_HOPELESS: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|(?<!\r)\n|\r[^\n]")

_UNTIL_CLOSE: Final = Framing(BODY_UNTIL_CLOSE)
_CHUNKED: Final = Framing(BODY_CHUNKED)


class BadFraming(Exception):
    """A message that must not be passed on; the text says why and quotes nothing of it."""


def request_head(raw: bytes) -> RequestHead:
    """Read a whole request head, its closing empty line included. Raises ClientError."""
    line_end = raw.find(b"\r\n")
    if len(raw) > FIELDS_LIMIT and (oversized := oversized_request(raw)) is not None:
        raise oversized
    line = _REQUEST_LINE.fullmatch(raw, 0, line_end)
    if line is None:
        raise malformed_request(_request_line_complaint(raw[:line_end]))
    method, target, minor = line.groups()
    section = raw[line_end - 1 :]  # with the version's last digit, which has a say in how the fields are read
    fields = _requests.get(section)
    if fields is None:
        fields = _new_request_fields(section, raw[line_end + 2 :], minor == b"1")
    raw_fields, headers, field_lines, known_fields, framing, is_http11, keep_alive, connection, kinds = fields
    return RequestHead(
        method,
        target,
        raw_fields,
        headers,
        field_lines,
        known_fields,
        framing,
        is_http11,
        keep_alive,
        connection,
        kinds,
    )


def _new_request_fields(key: bytes, section: bytes, is_http11: bool) -> _RequestFields:
    """Read a field section, and remember it as `key`. Raises ClientError."""
    try:
        fields = _request_fields(section, is_http11)
    except (BadFields, BadFraming) as error:
        reason = str(error)
    else:
        # A plugin's own secret is not to lie about.
        if len(key) <= KEY_LIMIT and may_be_remembered(fields[0]):
            _requests.keep(key, fields)
        return fields
    raise malformed_request(reason)


_RequestFields = tuple[
    Headers, Headers, list[bytes], dict[int, list[bytes]], Framing, bool, bool, frozenset[bytes], int
]
"""All of a RequestHead that does not stand in its first line, in its order."""

# Senders repeat themselves: requests differ in their first line, answers of one kind come several in a second. A
# section known already costs 0.4 us, a new one 7.
_requests: Final = BoundedCache[bytes, _RequestFields](128)
_responses: Final = BoundedCache[bytes, ResponseHead](128)


def _request_fields(section: bytes, is_http11: bool) -> _RequestFields:
    fields = parse_fields(section)
    if len(fields) > FIELD_COUNT_LIMIT:
        raise fields_too_large()
    field_lines, known_fields = classify_fields(fields, NOT_FORWARDED)
    hosts = len(known_fields.get(Kind.HOST, ()))
    if hosts != 1 and (is_http11 or hosts):
        raise BadFraming("exactly one Host header is needed")
    connection = connection_options(known_fields[Kind.CONNECTION]) if Kind.CONNECTION in known_fields else NO_OPTIONS
    keep_alive = is_http11 and b"close" not in connection
    framing = _request_framing(known_fields, is_http11)
    headers, kinds = without_ows(fields, section), bits_of(known_fields)
    return fields, headers, field_lines, known_fields, framing, is_http11, keep_alive, connection, kinds


def _request_framing(known_fields: dict[int, list[bytes]], is_http11: bool) -> Framing:
    codings = known_fields.get(Kind.TRANSFER_ENCODING)
    lengths = known_fields.get(Kind.CONTENT_LENGTH)
    if codings is None:
        return NO_BODY if lengths is None else Framing(BODY_LENGTH, content_length(lengths))
    _check_codings(codings, lengths, is_http11)
    return _CHUNKED


def _check_codings(codings: list[bytes], lengths: list[bytes] | None, is_http11: bool) -> None:
    """Only `chunked`, alone, is a coding that every reader ends at the same byte (RFC 9112, section 6.1)."""
    if lengths is not None:
        raise BadFraming("Content-Length and Transfer-Encoding stand together")
    if not is_http11:
        raise BadFraming("Transfer-Encoding stands in an HTTP/1.0 message")
    if len(codings) != 1 or codings[0].lower() != b"chunked":
        raise BadFraming("Transfer-Encoding is anything but a single `chunked`")


def content_length(values: list[bytes]) -> int:
    """The one length in bytes that `values` agree on. Raises BadFraming."""
    if len(values) != 1:
        raise BadFraming("Content-Length is repeated")
    if _DIGITS.fullmatch(values[0]) is None or int(values[0]) >= LENGTH_LIMIT:
        raise BadFraming("Content-Length is not a plain number below 2^63")
    return int(values[0])


NO_OPTIONS: Final[frozenset[bytes]] = frozenset()
_options: dict[bytes, frozenset[bytes]] = {}


def connection_options(values: list[bytes]) -> frozenset[bytes]:
    """The options of Connection fields, in lower case (RFC 9110, section 7.6.1)."""
    joined = values[0] if len(values) == 1 else b",".join(values)
    options = _options.get(joined)
    if options is None:
        options = frozenset(option for part in joined.lower().split(b",") if (option := part.strip(b" \t")))
        if len(_options) < 256 and len(joined) <= 64:
            _options[joined] = options
    return options


def response_head(raw: bytes, request_method: bytes) -> ResponseHead:
    """Read a whole answer head, its closing empty line included, interim ones too. Raises UpstreamError."""
    if request_method == b"HEAD":
        return _read_response_head(raw, request_method)
    head = _responses.get(raw)
    if head is None:
        head = _read_response_head(raw, request_method)
        if len(raw) <= KEY_LIMIT and may_be_remembered(head.headers):
            _responses.keep(raw, head)
    return head


def _read_response_head(raw: bytes, request_method: bytes) -> ResponseHead:
    line_end = raw.find(b"\r\n")
    if line_end > START_LINE_LIMIT or len(raw) - line_end > FIELDS_LIMIT + 4:
        raise untrusted_response("its head is larger than 64 KiB")
    line = _STATUS_LINE.fullmatch(raw, 0, line_end)
    if line is None:
        raise untrusted_response("its status line is malformed")
    try:
        return _response(line, raw[line_end + 2 :], request_method)
    except (BadFields, BadFraming) as error:
        reason = str(error)
    raise untrusted_response(reason)


def _response(line: re.Match[bytes], section: bytes, request_method: bytes) -> ResponseHead:
    fields = parse_fields(section)
    if len(fields) > FIELD_COUNT_LIMIT:
        raise BadFraming("it has more than 256 headers")
    minor, digits, reason = line.groups()
    field_lines, known_fields = classify_fields(fields, HOP_BY_HOP_KINDS)
    status = int(digits)
    is_http11 = minor == b"1"
    options = connection_options(known_fields[Kind.CONNECTION]) if Kind.CONNECTION in known_fields else NO_OPTIONS
    return ResponseHead(
        status=status,
        reason=b"" if reason is None else reason,
        headers=without_ows(fields, section),
        field_lines=field_lines,
        known_fields=known_fields,
        framing=_response_framing(status, request_method, known_fields, is_http11),
        connection=options,
        keep_alive=b"close" not in options if is_http11 else b"keep-alive" in options,
    )


def _response_framing(
    status: int, request_method: bytes, known_fields: dict[int, list[bytes]], is_http11: bool
) -> Framing:
    codings = known_fields.get(Kind.TRANSFER_ENCODING)
    lengths = known_fields.get(Kind.CONTENT_LENGTH)
    if codings is not None:
        _check_codings(codings, lengths, is_http11)
        if status < 200 or status == 204:
            raise BadFraming("a status without a body stands with Transfer-Encoding")
    length = -1 if lengths is None else content_length(lengths)
    if length > 0 and (status < 200 or status == 204):
        # Some clients would wait for those bytes, or take them from the next answer (RFC 9110, section 8.6).
        raise BadFraming("a status without a body stands with a Content-Length")
    if request_method == b"HEAD" or status < 200 or status in {204, 304}:
        return NO_BODY
    if codings is not None:
        return _CHUNKED
    return Framing(BODY_LENGTH, length) if length >= 0 else _UNTIL_CLOSE


def hopeless(partial: bytes | bytearray, start: int = 0) -> bool:
    """True when the bytes so far can no longer become a head: a bare CR or LF, a control character."""
    return _HOPELESS.search(partial, max(0, start - 1)) is not None


def is_not_http(partial: bytes | bytearray) -> bool:
    """True when the bytes so far can no longer become an answer's status line: another protocol speaks there."""
    return not partial.startswith(_VERSION[: len(partial)])


def oversized_request(partial: bytes | bytearray) -> ClientError | None:
    """The failure of a request head that is too large, finished or not, else None."""
    line_end = partial.find(b"\r\n", 0, START_LINE_LIMIT + 2)
    if line_end < 0:
        return target_too_large() if len(partial) > START_LINE_LIMIT else None
    return fields_too_large() if len(partial) - line_end > FIELDS_LIMIT + 4 else None


def _request_line_complaint(line: bytes) -> str:
    parts = line.split(b" ")
    if len(parts) < 3:
        return "the request line has no HTTP version; HTTP/1.1 and HTTP/1.0 are understood"
    if len(parts) == 3 and parts[2] not in {b"HTTP/1.0", b"HTTP/1.1"}:
        return "only HTTP/1.1 and HTTP/1.0 are understood"
    if len(parts) == 3 and b"#" in parts[1]:
        return "the target holds a `#`; a fragment is never sent"
    return "the request line is malformed"


def unasked_interim(status: int, count: int) -> bool:
    """True for an interim answer's status that nobody asked for (101), or that is one of too many before one answer."""
    return status == 101 or count > INTERIM_MOST
