"""What `lambda` is told: where the function's URL is, and what Lambda would be told of the function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from biot_sidecar.durations import parse_duration
from biot_sidecar.errors import BadSettings
from biot_sidecar.platform.children import CAN_FREEZE
from biot_sidecar.settings import parsers
from biot_sidecar.settings.addresses import is_loopback
from biot_sidecar.settings.names import ALLOW_REMOTE, ALLOWED_ORIGINS
from biot_sidecar.settings.reader import Reader
from biot_sidecar.settings.values import ListenAddress

DEFAULT_LISTEN: Final = "127.0.0.1:9000"
_LONGEST: Final = 900.0
"""Seconds; no Lambda function runs longer for an event."""
_MOST: Final = 1000
"""Environments of a function; an AWS account has no more at first."""

parse_listen: Final = parsers.tcp_address(DEFAULT_LISTEN)
parse_concurrency: Final = parsers.whole_number(1, _MOST)


def parse_timeout(text: str) -> float:
    """Seconds. Raises ValueError."""
    seconds = parse_duration(text)
    if not 1 <= seconds <= _LONGEST:
        raise ValueError("Lambda allows 1s to 15m")
    return seconds


class LambdaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`timeout` is seconds for an event; `most` commands run at a time; `freeze` stops them between events."""

    command: tuple[str, ...]
    listen: ListenAddress
    timeout: float
    most: int
    freeze: bool
    allowed_origins: frozenset[str]


def load_lambda(
    env: Mapping[str, str], command: Sequence[str], listen: ListenAddress, timeout: float, most: int, *, freeze: bool
) -> LambdaSettings:
    """The flags' values, checked against the settings and the system. Raises BadSettings with every problem."""
    reader = Reader(env, {}, "lambda")
    if not is_loopback(listen.host) and not reader.value(ALLOW_REMOTE):
        reader.problems.append(f"--listen: {listen} is not loopback; {ALLOW_REMOTE}=1 allows it")
    if freeze and not CAN_FREEZE:
        reader.problems.append("--freeze: this system cannot stop processes and let them go on")
    origins = reader.value(ALLOWED_ORIGINS)
    if reader.problems:
        raise BadSettings(reader.problems)
    return LambdaSettings(
        command=tuple(command),
        listen=listen,
        timeout=timeout,
        most=most,
        freeze=freeze,
        allowed_origins=frozenset(origin.decode("latin-1") for origin in origins),
    )
