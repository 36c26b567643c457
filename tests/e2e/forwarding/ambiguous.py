"""Requests that two servers could read differently, as raw bytes, by name.

Those of HEADS are settled by the head alone: nothing of them may reach the upstream. Those of BODIES turn bad after a
fine head: what reaches the upstream must never be a whole request. Each is followed by a request for /smuggled, which
must never be taken for a request of its own.
"""

from tests.support.wire import lines

_HOST = b"Host: 127.0.0.1"
_CHUNKED = b"Transfer-Encoding: chunked"
_LENGTH = b"Content-Length: 5"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def _post(*fields: bytes, body: bytes = b"hello") -> bytes:
    return lines(b"POST /refused HTTP/1.1", _HOST, *fields) + body


def _get(*fields: bytes) -> bytes:
    return lines(b"GET /refused HTTP/1.1", _HOST, *fields)


def _start(line: bytes) -> bytes:
    return lines(line, _HOST)


def _coding(value: bytes) -> bytes:
    return _post(b"Transfer-Encoding: " + value, body=b"5\r\nhello\r\n0\r\n\r\n")


def _length(value: bytes) -> bytes:
    return _post(b"Content-Length: " + value)


_CHUNKED_BODY = b"5\r\nhello\r\n0\r\n\r\n"

TWO_FRAMINGS = {
    "a length, then chunked": _post(_LENGTH, _CHUNKED, body=_CHUNKED_BODY),
    "chunked, then a length": _post(_CHUNKED, _LENGTH, body=_CHUNKED_BODY),
    "chunked with a length of nought": _post(b"Content-Length: 0", _CHUNKED, body=_CHUNKED_BODY),
    "chunked with an unreadable length": _post(b"Content-Length: x", _CHUNKED, body=_CHUNKED_BODY),
    "an identity coding with a length": _post(b"Transfer-Encoding: identity", _LENGTH),
    "an empty coding with a length": _post(b"Transfer-Encoding:", _LENGTH),
    "an unknown coding with a length": _post(b"Transfer-Encoding: xchunked", _LENGTH),
}

CODINGS = {
    "chunked twice in one field": _coding(b"chunked, chunked"),
    "chunked twice in two fields": _post(_CHUNKED, _CHUNKED, body=_CHUNKED_BODY),
    "a coding before chunked": _coding(b"gzip, chunked"),
    "a coding before chunked in a field of its own": _post(b"Transfer-Encoding: gzip", _CHUNKED, body=_CHUNKED_BODY),
    "a coding after chunked": _coding(b"chunked, gzip"),
    "identity after chunked": _coding(b"chunked, identity"),
    "identity in a field after chunked": _post(_CHUNKED, b"Transfer-Encoding: identity", body=_CHUNKED_BODY),
    "gzip alone": _coding(b"gzip"),
    "identity alone": _coding(b"identity"),
    "an empty coding": _coding(b""),
    "an empty element after chunked": _coding(b"chunked,"),
    "an empty element before chunked": _coding(b", chunked"),
    "chunked in quotes": _coding(b'"chunked"'),
    "chunked with a parameter": _coding(b"chunked;q=1"),
    "something that begins like chunked": _coding(b"chunkedx"),
    "something that ends like chunked": _coding(b"xchunked"),
    "chunked after a vertical tab": _coding(b"\x0bchunked"),
    "chunked before a NUL": _coding(b"chunked\x00"),
    "chunked cut in two": _coding(b"chu nked"),
    "chunked with a byte above 0x7f": _coding(b"chunked\xa0"),
    "chunked in HTTP/1.0": lines(b"POST /refused HTTP/1.0", _HOST, _CHUNKED) + _CHUNKED_BODY,
    "any coding in HTTP/1.0": lines(b"POST /refused HTTP/1.0", _HOST, b"Transfer-Encoding: identity"),
}

LENGTHS = {
    "two equal lengths": _post(_LENGTH, _LENGTH),
    "two unequal lengths": _post(_LENGTH, b"Content-Length: 6"),
    "equal lengths in a list": _length(b"5, 5"),
    "unequal lengths in a list": _length(b"5, 6"),
    "a list with an empty element": _length(b"5,"),
    "a length in another case beside": _post(_LENGTH, b"content-LENGTH: 0"),
    "a signed length": _length(b"+5"),
    "a negative length": _length(b"-5"),
    "a hexadecimal length": _length(b"0x5"),
    "a length with a fraction": _length(b"5.0"),
    "a length with an exponent": _length(b"5e0"),
    "a length with an underscore": _length(b"0_5"),
    "an empty length": _length(b""),
    "a length of letters": _length(b"five"),
    "a length with inner white space": _length(b"5 0"),
    "a length in quotes": _length(b'"5"'),
    "a length with a parameter": _length(b"5;x"),
    "a length in other digits": _length(b"\xd9\xa5"),
    "a length after a vertical tab": _length(b"\x0b5"),
    "a length of 2^63": _length(b"9223372036854775808"),
    "a length of 2^64 + 5": _length(b"18446744073709551621"),
    "a length of a hundred digits": _length(b"9" * 100),
    "an unreadable length on GET": _get(b"Content-Length: x"),
}

LINES = {
    "a bare LF after the request line": b"GET /refused HTTP/1.1\nHost: 127.0.0.1\r\n\r\n",
    "a bare LF after a field": b"GET /refused HTTP/1.1\r\nHost: 127.0.0.1\nX: 1\r\n\r\n",
    "a bare LF at the end of the head": b"GET /refused HTTP/1.1\r\nHost: 127.0.0.1\r\n\n",
    "bare LFs throughout": b"GET /refused HTTP/1.1\nHost: 127.0.0.1\n\n",
    "a bare CR after the request line": b"GET /refused HTTP/1.1\rHost: 127.0.0.1\r\n\r\n",
    "a bare CR in a value": _get(b"X: a\rb"),
    "a bare CR before a field of ours": _get(b"X: a\rAuthorization: b"),
    "a bare CR at the end of a value": _get(b"X: a\r"),
    "a bare CR in the target": _start(b"GET /refused\r HTTP/1.1"),
    "a bare CR between fields": _get(b"\rX: a"),
    "a bare CR at the end of the head": b"GET /refused HTTP/1.1\r\nHost: 127.0.0.1\r\n\rX",
    "a field folded with a space": _get(b"X: a", b" b"),
    "a field folded with a tab": _get(b"X: a", b"\tb"),
    "a fold that hides a coding": _post(b"X: a", b" Transfer-Encoding: chunked", body=b""),
    "a fold inside a coding": _post(b"Transfer-Encoding:", b" chunked", body=_CHUNKED_BODY),
    "a fold right after the request line": lines(b"GET /refused HTTP/1.1", b" X: a", _HOST),
    "a line of white space only": _get(b"X: a", b" "),
}

NAMES = {
    "a space before the colon": _get(b"X : a"),
    "a tab before the colon": _get(b"X\t: a"),
    "a space before the colon of a coding": _post(b"Transfer-Encoding : chunked", body=_CHUNKED_BODY),
    "a space before the colon of a length": _post(b"Content-Length : 5"),
    "a space before the colon of Host": lines(b"GET /refused HTTP/1.1", b"Host : 127.0.0.1"),
    "a space inside a name": _get(b"X Y: a"),
    "a field without a colon": _get(b"nonsense"),
    "a field without a name": _get(b": a"),
    "a NUL in a name": _get(b"X\x00: a"),
    "a control character in a name": _get(b"X\x01Y: a"),
    "a DEL in a name": _get(b"X\x7f: a"),
    "a byte above 0x7f in a name": _get(b"X\xe9: a"),
    "a parenthesis in a name": _get(b"X(Y): a"),
    "an at sign in a name": _get(b"X@Y: a"),
    "a quotation mark in a name": _get(b'"X": a'),
    "a slash in a name": _get(b"X/Y: a"),
}

VALUES = {
    f"the control character 0x{octet:02x} in a value": _get(b"X: a" + bytes([octet]) + b"b")
    for octet in (0x00, 0x01, 0x08, 0x0B, 0x0C, 0x0E, 0x1F, 0x7F)
}

VERSIONS = {
    "HTTP/0.9": b"GET /refused\r\n",
    "HTTP/0.9 with fields": lines(b"GET /refused", _HOST),
    "HTTP/0.9 in so many words": _start(b"GET /refused HTTP/0.9"),
    "HTTP/1.2": _start(b"GET /refused HTTP/1.2"),
    "HTTP/1.9": _start(b"GET /refused HTTP/1.9"),
    "HTTP/2.0": _start(b"GET /refused HTTP/2.0"),
    "HTTP/2": _start(b"GET /refused HTTP/2"),
    "HTTP/3.0": _start(b"GET /refused HTTP/3.0"),
    "HTTP/1.10": _start(b"GET /refused HTTP/1.10"),
    "HTTP/01.1": _start(b"GET /refused HTTP/01.1"),
    "HTTP/11": _start(b"GET /refused HTTP/11"),
    "HTTP/1,1": _start(b"GET /refused HTTP/1,1"),
    "HTTP/1.": _start(b"GET /refused HTTP/1."),
    "HTTP/ 1.1": _start(b"GET /refused HTTP/ 1.1"),
    "the version in lower case": _start(b"GET /refused http/1.1"),
    "another protocol": _start(b"GET /refused RTSP/1.0"),
    "and yet another": _start(b"SOURCE /refused ICE/1.0"),
    "HTTPS/1.1": _start(b"GET /refused HTTPS/1.1"),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}

REQUEST_LINES = {
    "two spaces before the target": _start(b"GET  /refused HTTP/1.1"),
    "two spaces after the target": _start(b"GET /refused  HTTP/1.1"),
    "a tab before the target": _start(b"GET\t/refused HTTP/1.1"),
    "a tab after the target": _start(b"GET /refused\tHTTP/1.1"),
    "a space in the target": _start(b"GET /refused x HTTP/1.1"),
    "a space in front": _start(b" GET /refused HTTP/1.1"),
    "a space at the end": _start(b"GET /refused HTTP/1.1 "),
    "no target": _start(b"GET HTTP/1.1"),
    "an empty target": _start(b"GET  HTTP/1.1"),
    "no method": _start(b"/refused HTTP/1.1"),
    "an at sign in the method": _start(b"G@T /refused HTTP/1.1"),
    "a NUL in the method": _start(b"GE\x00T /refused HTTP/1.1"),
    "a colon in the method": _start(b"GET: /refused HTTP/1.1"),
    "a byte above 0x7f in the method": _start(b"G\xc9T /refused HTTP/1.1"),
    "a NUL in the target": _start(b"GET /refused\x00 HTTP/1.1"),
    "words": b"hello there\r\n\r\n",
    "a TLS greeting": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(64)) + b"\r\n\r\n",
    "an answer": lines(b"HTTP/1.1 200 OK", b"Content-Length: 0"),
}

HOSTS = {
    "no Host in HTTP/1.1": lines(b"GET /refused HTTP/1.1", b"X: a"),
    "no field at all in HTTP/1.1": lines(b"GET /refused HTTP/1.1"),
    "two Hosts": _get(b"Host: evil.example"),
    "two equal Hosts": _get(_HOST),
    "two Hosts in another case": _get(b"hOST: 127.0.0.1"),
    "no Host beside an absolute target": lines(b"GET http://127.0.0.1/refused HTTP/1.1", b"X: a"),
}

HEADS = {
    **TWO_FRAMINGS,
    **CODINGS,
    **LENGTHS,
    **LINES,
    **NAMES,
    **VALUES,
    **VERSIONS,
    **REQUEST_LINES,
    **HOSTS,
}


def _chunks(raw: bytes) -> bytes:
    return _post(_CHUNKED, body=raw)


CHUNK_SIZES = {
    "a size of letters": _chunks(b"g\r\nhello\r\n0\r\n\r\n"),
    "an empty size": _chunks(b"\r\nhello\r\n0\r\n\r\n"),
    "a signed size": _chunks(b"+5\r\nhello\r\n0\r\n\r\n"),
    "a negative size": _chunks(b"-5\r\nhello\r\n0\r\n\r\n"),
    "a size with 0x": _chunks(b"0x5\r\nhello\r\n0\r\n\r\n"),
    "a size with an underscore": _chunks(b"0_5\r\nhello\r\n0\r\n\r\n"),
    "a size after a space": _chunks(b" 5\r\nhello\r\n0\r\n\r\n"),
    "a size before a space": _chunks(b"5 \r\nhello\r\n0\r\n\r\n"),
    "a last size before a tab": _chunks(b"5\r\nhello\r\n0\t\r\n\r\n"),
    "a size cut in two": _chunks(b"0 5\r\nhello\r\n0\r\n\r\n"),
    "a size with a comma": _chunks(b"5,5\r\nhello\r\n0\r\n\r\n"),
    "a size in quotes": _chunks(b'"5"\r\nhello\r\n0\r\n\r\n'),
    "a size of 2^63": _chunks(b"8000000000000000\r\nhello\r\n0\r\n\r\n"),
    "a size of 2^64 + 5": _chunks(b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "a size of a hundred digits": _chunks(b"F" * 100 + b"\r\nhello\r\n0\r\n\r\n"),
    "a size with a NUL": _chunks(b"5\x00\r\nhello\r\n0\r\n\r\n"),
}

CHUNK_LINES = {
    "a bare LF after the size": _chunks(b"5\nhello\r\n0\r\n\r\n"),
    "a bare CR after the size": _chunks(b"5\rhello\r\n0\r\n\r\n"),
    "a bare LF after the data": _chunks(b"5\r\nhello\n0\r\n\r\n"),
    "nothing after the data": _chunks(b"5\r\nhello0\r\n\r\n"),
    "more data than the size says": _chunks(b"5\r\nhelloo\r\n0\r\n\r\n"),
    "a bare LF after the last size": _chunks(b"5\r\nhello\r\n0\n\r\n"),
    "a bare LF at the end": _chunks(b"5\r\nhello\r\n0\r\n\n"),
    "a bare LF in an extension": _chunks(b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
    "a bare CR in an extension": _chunks(b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
    "a NUL in an extension": _chunks(b"5;a\x00\r\nhello\r\n0\r\n\r\n"),
}

EXTENSIONS = {
    "an extension over 4 KiB": _chunks(b"5;" + b"a" * 5000 + b"\r\nhello\r\n0\r\n\r\n"),
    "extensions over 4 KiB in all": _chunks(b"1;%s\r\nx\r\n" % (b"a" * 100) * 50 + b"0\r\n\r\n"),
    "an extension over 4 KiB on the last chunk": _chunks(b"5\r\nhello\r\n0;" + b"a" * 5000 + b"\r\n\r\n"),
}

TRAILERS = {
    "a trailer folded": _chunks(b"5\r\nhello\r\n0\r\nX: a\r\n b\r\n\r\n"),
    "a trailer with a space before the colon": _chunks(b"5\r\nhello\r\n0\r\nX : a\r\n\r\n"),
    "a trailer without a colon": _chunks(b"5\r\nhello\r\n0\r\nnonsense\r\n\r\n"),
    "a trailer with a bare LF": _chunks(b"5\r\nhello\r\n0\r\nX: a\n\r\n"),
    "a trailer with a bare CR": _chunks(b"5\r\nhello\r\n0\r\nX: a\rb\r\n\r\n"),
    "a trailer with a NUL": _chunks(b"5\r\nhello\r\n0\r\nX: a\x00\r\n\r\n"),
    "a trailer with an invalid name": _chunks(b"5\r\nhello\r\n0\r\nX(Y): a\r\n\r\n"),
}

BODIES = {**CHUNK_SIZES, **CHUNK_LINES, **EXTENSIONS, **TRAILERS}
