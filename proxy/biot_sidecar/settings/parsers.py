"""One setting's text -> its value; each parser raises ValueError with the end of a sentence for the user."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeVar
from urllib.parse import urlsplit

from biot_sidecar.durations import parse_days
from biot_sidecar.settings.addresses import is_host, parse_address, parse_tcp_address
from biot_sidecar.settings.secret import Secret
from biot_sidecar.settings.secret_file import without_line_ending
from biot_sidecar.settings.values import ListenAddress
from biot_sidecar.suggest import suggest

Item = TypeVar("Item")

_ORIGIN: Final = r"[A-Za-z][A-Za-z0-9+.-]*://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?"
_YES: Final = frozenset({"1", "true", "yes", "on"})
_NO: Final = frozenset({"0", "false", "no", "off"})


class BadItems(ValueError):
    """Some items of a list are no good: a reason for each; `good` are the others, so that these are checked, too."""

    def __init__(self, reasons: Sequence[str], good: tuple[object, ...]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)
        self.good = good


def switch(text: str) -> bool:
    if text.lower() not in _YES | _NO:
        raise ValueError(f"{text!r} is neither 1 nor 0")
    return text.lower() in _YES


def rotate_before(text: str) -> float | None:
    """Seconds; None for 0, which means never."""
    return parse_days(text) or None


def whole_number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
            raise ValueError(f"{text!r} is no whole number from {least} to {most}")
        return int(text)

    return parse


def choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in choices:
            near = suggest(text.lower(), choices)
            hint = f"; did you mean {near}?" if near else ""
            raise ValueError(f"{text!r} is none of {', '.join(choices)}{hint}")
        return text.lower()

    return parse


def plain_text(text: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in text):  # bytes that were no UTF-8 (PEP 383)
        raise ValueError("is not UTF-8 text")
    return text


def secret(text: str) -> Secret:
    """A secret key; one final line ending is no part of it."""
    bare = without_line_ending(text)
    if not bare:
        raise ValueError("holds a line ending and nothing else")
    return Secret(plain_text(bare))


def redis_url(text: str) -> Secret:
    """A secret, since it may hold a password; so nothing of it is shown."""
    try:
        url = urlsplit(text)
        known = url.scheme in {"redis", "rediss", "unix"} and (url.port is None or url.port > 0)
    except ValueError:  # a port that is none
        known = False
    if not known:
        raise ValueError("is no redis:// address")
    return Secret(text)


def listen_addresses(text: str) -> tuple[ListenAddress, ...]:
    addresses = tuple(_each(text, parse_address))
    if not addresses:
        raise ValueError("names no address; write HOST:PORT, [::1]:PORT or unix:PATH")
    return addresses


def listen_address(text: str) -> ListenAddress:
    if "," in text:
        raise ValueError(f"{text!r} is more than one address")
    return parse_address(text)


def tcp_address(example: str) -> Callable[[str], ListenAddress]:
    """Of one HOST:PORT, such as `example`."""

    def parse(text: str) -> ListenAddress:
        if "," in text or text.startswith("unix:"):
            raise ValueError(f"{text!r} is not one HOST:PORT, such as {example}")
        return parse_tcp_address(text, f"HOST:PORT or [::1]:PORT, such as {example}")

    return parse


def host_names(text: str) -> frozenset[bytes]:
    return frozenset(_each(text, _host_name))


def origins(text: str) -> frozenset[bytes]:
    return frozenset(_each(text, _origin))


def _each(text: str, parse: Callable[[str], Item]) -> list[Item]:
    """Every item of a list with commas. Raises BadItems with what is wrong with each."""
    good: list[Item] = []
    reasons: list[str] = []
    for part in filter(None, map(str.strip, text.split(","))):
        try:
            good.append(parse(part))
        except ValueError as error:
            reasons.append(str(error))
    if reasons:
        raise BadItems(reasons, tuple(good))
    return good


def _host_name(text: str) -> bytes:
    host, colon, port = text.rpartition(":")
    name = host if colon and port.isdigit() and (":" not in host or host.endswith("]")) else text
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    name = name.lower().removesuffix(".")
    if not is_host(name):
        raise ValueError(f"{text!r} is no host name; write a, b.example, [::1]")
    return name.encode("ascii")


def _origin(text: str) -> bytes:
    if not re.fullmatch(_ORIGIN, text):
        raise ValueError(f"{text!r} is no origin; write scheme://host[:port], without a path")
    return text.lower().encode("ascii")
