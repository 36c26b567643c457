"""What the inspector shows of header fields, and what it never shows."""

from __future__ import annotations

import pytest
from biot_sidecar.inspector.masking import FIELDS_MOST, HARMLESS, TEXT_MOST, Field, shown_fields

CANARY = "canary-7f3a"


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "Cookie",
        "Set-Cookie",
        "Proxy-Authorization",
        "X-Api-Key",
        "X-Access-Token",
        "X-Amz-Signature",
        "X-Patient-Name",
        "Link",
        "Content-Disposition",
        "Never-Heard-Of",
    ],
)
def test_masks_the_value_of_every_name_that_is_not_known_to_be_harmless(name: str) -> None:
    assert shown_fields([(name.encode(), CANARY.encode())]) == (Field(name, None),)


@pytest.mark.parametrize("name", ["Accept", "CONTENT-TYPE", "user-agent", "traceparent", "Retry-After", "Proxy-Status"])
def test_shows_the_value_of_a_harmless_name_in_any_case(name: str) -> None:
    assert shown_fields([(name.encode(), b"plain")]) == (Field(name, "plain"),)


def test_no_name_that_may_hold_a_secret_counts_as_harmless() -> None:
    telling = ("auth", "cookie", "token", "secret", "key", "password", "signature", "session", "credential")
    suspects = {name for name in HARMLESS if any(word in name for word in telling)}
    assert suspects == {"www-authenticate"}, "a challenge names a scheme and a realm, no credentials"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b"https://biot.example/patients/canary-7f3a?token=canary-7f3a", "https://biot.example/…"),
        (b"https://canary-7f3a:canary-7f3a@bucket.example:8443/key", "https://bucket.example:8443/…"),
        (b"http://[::1]:8080/x", "http://[::1]:8080/…"),
        (b"/organization/v1/users/canary-7f3a", None),
        (b"canary-7f3a", None),
        (b"javascript:canary-7f3a", None),
        (b"https://[canary-7f3a", None),
        (b"https://biot.example:canary-7f3a/", None),
        (b"https://bi\xf6t.example/", None),
    ],
)
@pytest.mark.parametrize("name", ["Location", "referer", "Content-Location"])
def test_shows_only_the_origin_of_an_address(name: str, value: bytes, shown: str | None) -> None:
    assert shown_fields([(name.encode(), value)]) == (Field(name, shown),)


def test_keeps_order_case_and_duplicates_of_fields() -> None:
    fields = [(b"Vary", b"a"), (b"vary", b"b"), (b"Set-Cookie", b"x"), (b"Vary", b"a")]
    assert [(field.name, field.value) for field in shown_fields(fields)] == [
        ("Vary", "a"),
        ("vary", "b"),
        ("Set-Cookie", None),
        ("Vary", "a"),
    ]


def test_shows_bytes_that_are_no_text_as_replacement_characters() -> None:
    assert shown_fields([(b"User-Agent", b"caf\xc3\xa9 \xff")]) == (Field("User-Agent", "café �"),)


def test_bounds_what_one_request_can_fill_the_memory_with() -> None:
    fields = shown_fields([(b"x" * 5000, b"v"), *[(b"Accept", b"y" * 5000)] * 300])
    assert len(fields) == FIELDS_MOST
    assert all(len(field.name) <= TEXT_MOST and len(field.value or "") <= TEXT_MOST for field in fields)
    assert fields[1].value is not None
    assert fields[1].value.endswith("y…")
