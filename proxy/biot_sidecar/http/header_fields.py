"""Field lines: llhttp reads them, one table says what each name means to a proxy.

llhttp (httptools) judges the grammar of a field section in C: names are tokens, values hold no control characters,
lines end in CRLF, nothing is folded (RFC 9112, section 5). It never sees a start line: it knows 46 methods and refuses
raw bytes in targets, where a proxy must take any, so http.framing reads that line itself.
"""

from __future__ import annotations

from typing import Final

import httptools

from biot_sidecar.http.messages import Headers


class Kind:
    """What a field name means to a proxy. PLAIN ones go through untouched.

    Plain numbers, not an Enum: a member look-up costs 0.1 us, and a request takes dozens.
    """

    PLAIN: Final = 0
    HOP_BY_HOP: Final = 1  # belongs to one connection (RFC 9110, section 7.6.1), or to a proxy's own login
    CONNECTION: Final = 2
    CONTENT_LENGTH: Final = 3
    TRANSFER_ENCODING: Final = 4
    HOST: Final = 5
    AUTHORIZATION: Final = 6
    INTERCEPTION: Final = 7
    LOOKALIKE: Final = 8  # read by a lenient server as one of ours: allow_interception
    USER_AGENT: Final = 9
    TRACEPARENT: Final = 10
    EXPECT: Final = 11
    ORIGIN: Final = 12
    FETCH_SITE: Final = 13
    TE: Final = 14
    TRACESTATE: Final = 15
    TIMEOUT: Final = 16  # Sidecar-Timeout and Sidecar-Retry are for us alone
    RETRY: Final = 17


FRAMING: Final = frozenset({Kind.CONTENT_LENGTH, Kind.TRANSFER_ENCODING})

KINDS: Final = {
    b"keep-alive": Kind.HOP_BY_HOP,
    b"proxy-connection": Kind.HOP_BY_HOP,
    b"proxy-authenticate": Kind.HOP_BY_HOP,
    b"proxy-authorization": Kind.HOP_BY_HOP,
    b"te": Kind.TE,
    b"upgrade": Kind.HOP_BY_HOP,
    b"http2-settings": Kind.HOP_BY_HOP,
    b"connection": Kind.CONNECTION,
    b"content-length": Kind.CONTENT_LENGTH,
    b"transfer-encoding": Kind.TRANSFER_ENCODING,
    b"host": Kind.HOST,
    b"authorization": Kind.AUTHORIZATION,
    b"allow-interception": Kind.INTERCEPTION,
    b"user-agent": Kind.USER_AGENT,
    b"traceparent": Kind.TRACEPARENT,
    b"tracestate": Kind.TRACESTATE,
    b"expect": Kind.EXPECT,
    b"origin": Kind.ORIGIN,
    b"sec-fetch-site": Kind.FETCH_SITE,
    b"sidecar-timeout": Kind.TIMEOUT,
    b"sidecar-retry": Kind.RETRY,
}

# Names whose meaning is ours, or frames the message: another spelling of them must not reach BioT beside them.
_GUARDED: Final = frozenset(
    name
    for name, kind in KINDS.items()
    if kind
    in {
        Kind.HOST,
        Kind.AUTHORIZATION,
        Kind.INTERCEPTION,
        Kind.CONTENT_LENGTH,
        Kind.TRANSFER_ENCODING,
        Kind.CONNECTION,
        Kind.TIMEOUT,
        Kind.RETRY,
    }
)
_ALNUM: Final = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789")
_DASHED: Final = bytes(byte if byte in _ALNUM else 0x2D for byte in range(256))

# Senders repeat the same few spellings: one dict look-up replaces lower-casing and the alias check (0.2 us a field).
_KNOWN_LIMIT: Final = 2048
_known: dict[bytes, int] = {}


def kind_of(name: bytes) -> int:
    """The Kind of a field name, in any case."""
    kind = _known.get(name)
    if kind is None:
        kind = _classify(name.lower())
        if len(_known) < _KNOWN_LIMIT and len(name) <= 64:
            _known[name] = kind
    return kind


def classify_fields(fields: Headers, dropped: frozenset[int]) -> tuple[list[bytes], dict[int, list[bytes]]]:
    """One pass over a message's fields: the lines that go on as they came, and the values that mean something to us.

    Fields whose Kind is in `dropped` are not among the lines. Values are without white space around them, and so are
    the lines that frame the message.
    """
    field_lines: list[bytes] = []
    known_fields: dict[int, list[bytes]] = {}
    known = _known.get
    for field in fields:
        kind = known(field[0], -1)
        if kind and (kind > 0 or (kind := kind_of(field[0]))):
            value = field[1].strip(b" \t")
            if kind in known_fields:
                known_fields[kind].append(value)
            else:
                known_fields[kind] = [value]
            if kind in dropped:
                continue
            if kind in FRAMING:
                # Every reader is to find the same there: `chunked` with white space behind it is not so to some.
                field_lines.append(b"%b: %b" % (field[0], value))
                continue
        field_lines.append(b": ".join(field))
    return field_lines, known_fields


def bits_of(known_fields: dict[int, list[bytes]]) -> int:
    """A bit for each Kind of field that is there: one test for several costs a tenth of a look-up for each."""
    return sum(1 << kind for kind in known_fields)


def _classify(lowered: bytes) -> int:
    kind = KINDS.get(lowered)
    if kind is not None:
        return kind
    return Kind.LOOKALIKE if lowered.translate(_DASHED) in _GUARDED else Kind.PLAIN


# White space around a value is no part of it (RFC 9110, section 5.5). llhttp leaves out what stands before a value.
_OWS: Final = b" \t"


def without_ows(fields: Headers, section: bytes) -> Headers:
    """`fields`, read from `section`, with values as they are meant; what goes on is rendered from `fields`."""
    if b" \r\n" not in section and b"\t\r\n" not in section:
        return fields
    return [(name, value.strip(_OWS)) for name, value in fields]


# Names whose values never hold a credential. Anything else, known or not, may (Cookie, X-Api-Key, Location).
_HARMLESS: Final = frozenset(
    b"""
    accept accept-charset accept-encoding accept-language accept-ranges access-control-allow-credentials
    access-control-allow-headers access-control-allow-methods access-control-allow-origin access-control-expose-headers
    access-control-max-age age allow allow-interception alt-svc cache-control connection content-encoding
    content-language content-length content-type date dnt etag expect expires host hooktype if-modified-since keep-alive
    last-modified origin pragma proxy-connection range referrer-policy retry-after sec-ch-ua sec-ch-ua-mobile
    sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user server sidecar-retry sidecar-timeout
    strict-transport-security te
    trace-id traceparent trailer transfer-encoding upgrade upgrade-insecure-requests user-agent vary via x-amz-cf-id
    x-amz-cf-pop x-amzn-requestid x-amzn-trace-id x-cache x-content-type-options x-execution-mode x-frame-options
    x-request-id x-xss-protection
    """.split()
)


def may_be_remembered(fields: Headers) -> bool:
    """True when no value can be a credential, so that the fields may outlive their message."""
    return all(name.lower() in _HARMLESS for name, _ in fields)


# What belongs to one connection goes no further, either way.
HOP_BY_HOP_KINDS: Final = frozenset({Kind.HOP_BY_HOP, Kind.TE, Kind.CONNECTION})
# Towards BioT these are ours to say, or a route's.
NOT_FORWARDED: Final = HOP_BY_HOP_KINDS | {
    Kind.HOST, Kind.LOOKALIKE, Kind.AUTHORIZATION, Kind.INTERCEPTION, Kind.TIMEOUT, Kind.RETRY
}  # fmt: skip


class BadFields(Exception):
    """A field section that RFC 9112 does not allow; the text says what is wrong and quotes nothing of it."""


# Interns the plain text of llhttp's complaints that users meet most; others share one sentence.
_MALFORMED: Final = "the header section is malformed"
_COMPLAINTS: Final = {
    "Missing expected LF after header value": "a bare CR stands in a header",
    "Missing expected CR after header value": "a header line ends in a bare LF",
    "Unexpected whitespace after header value": "a header is folded over two lines",
    "Unexpected space after start line": "white space stands before the first header",
    "Invalid header token": "a header name holds a character that is not allowed there",
    "Invalid header value char": "a header value holds a control character",
    "Transfer-Encoding can't be present with Content-Length": "Content-Length and Transfer-Encoding stand together",
    "Content-Length can't be present with Transfer-Encoding": "Content-Length and Transfer-Encoding stand together",
    "Duplicate Content-Length": "Content-Length is repeated",
    "Content-Length overflow": "Content-Length is too large",
    "Invalid character in Content-Length": "Content-Length is not a plain number",
    "Empty Content-Length": "Content-Length is empty",
    "Empty Transfer-Encoding": "Transfer-Encoding is empty",
}


class FieldParser:
    """Reads field sections. One instance serves many, one after the other: a call leaves nothing behind."""

    # 204 is a status without a body: whatever the fields say of one, the parser is done at the section's end.
    _START_LINE = b"HTTP/1.1 204 -\r\n"

    def __init__(self) -> None:
        self._fields: Headers = []
        self._complete = False
        self._reusable = True
        self._renew()

    def _renew(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        # Messages are cut apart before they come here; without this, `Connection: close` would end the parser.
        self._parser.set_dangerous_leniencies(lenient_keep_alive=True)

    def on_header(self, name: bytes, value: bytes) -> None:
        """httptools' callback."""
        self._fields.append((name, value))

    def on_message_complete(self) -> None:
        """httptools' callback."""
        self._complete = True
        # Behind a `Connection: close` llhttp does not forget the Content-Length: the next one's digits would join it.
        self._reusable = self._parser.should_keep_alive()

    def parse(self, section: bytes) -> Headers:
        """The fields of `section`, which ends in an empty line. Raises BadFields."""
        fields = self._fields = []
        self._complete = False
        try:
            self._parser.feed_data(self._START_LINE + section)
        except httptools.HttpParserError as error:
            self._renew()
            complaint = _COMPLAINTS.get(str(error), _MALFORMED)
        else:
            if self._complete:
                if not self._reusable:
                    self._renew()
                return fields
            self._renew()
            complaint = _MALFORMED
        finally:
            self._fields = []
        raise BadFields(complaint)


parse_fields = FieldParser().parse
"""The process's own parser: heads are read one at a time, so one is enough (a new one each costs 0.5 us)."""
