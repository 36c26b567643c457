"""Values that must never show what they hold."""

from __future__ import annotations

from biot_sidecar.http.messages import Response


def test_a_whole_response_does_not_show_its_headers_or_body():
    value = Response(200, [(b"X", b"a.b.c")], b'{"accessToken": "a.b.c"}')
    assert "a.b.c" not in f"{value} {value!r} {[value]}"
