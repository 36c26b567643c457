"""`biot-sidecar top`: a sidecar's status live, with the latest requests where the inspector is on."""

from __future__ import annotations

import argparse
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Self, TextIO

from biot_sidecar.cli.colors import palette_for
from biot_sidecar.cli.flags import add_setting_flags, flags_of, value_of
from biot_sidecar.cli.local_client import first_address, get
from biot_sidecar.cli.standard_streams import say
from biot_sidecar.cli.status import OK, PATIENCE, NoStatus, State, ask
from biot_sidecar.cli.status_view import Row, heading, rates_between, routes
from biot_sidecar.cli.status_view import requests as latest
from biot_sidecar.durations import parse_duration
from biot_sidecar.settings.values import ListenAddress

SHORTEST: Final = 0.1
"""Seconds between two pictures."""
REQUESTS_MOST: Final = 20
_OTHER_SCREEN, _OWN_SCREEN = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
_NO_INSPECTOR: Final = "  start the sidecar with SIDECAR_INSPECT=1, and its latest requests are shown here"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add_setting_flags(parser, "top")
    parser.add_argument(
        "--interval",
        type=value_of(_interval),
        default="1s",
        metavar="DURATION",
        help="between two pictures (default 1s)",
    )
    parser.add_argument(
        "--count", type=value_of(_count), metavar="N", help="end after so many pictures (default: at Ctrl-C)"
    )


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """0 after Ctrl-C or the last picture, 1 when no sidecar answers, with the reason on stderr. Raises BadSettings."""
    address = first_address(flags_of(args), env)
    palette = palette_for(sys.stdout, env)
    for number in (signal.SIGINT, signal.SIGTERM):  # so that the terminal gets its own screen back
        signal.signal(number, signal.default_int_handler)
    screen = Screen(sys.stdout) if sys.stdout.isatty() else Paper(sys.stdout)
    look = Look(lambda: _ask(address), time.monotonic, time.time)  # noqa: TID251 - a command hands the real clocks out
    try:
        with screen:
            for shown in itertools.count(1):
                screen.draw([row.shown(palette, screen.width()) for row in look.rows(str(address))])
                if shown == args.count:
                    break
                time.sleep(args.interval)
    except KeyboardInterrupt:
        return 0
    except NoStatus as error:
        say(str(error))
        return 1
    return 0


class Seen(NamedTuple):
    """One look at a sidecar; `requests` is None where the inspector is off."""

    state: State
    requests: list[dict[str, Any]] | None


class Look:
    """What to show, look by look: rates are those since the look before."""

    def __init__(self, ask: Callable[[], Seen], clock: Callable[[], float], wall: Callable[[], float]) -> None:
        self._ask, self._clock, self._wall = ask, clock, wall
        self._before: tuple[float, dict[str, Any]] | None = None

    def rows(self, address: str) -> list[Row]:
        """The picture. Raises NoStatus when the very first look finds no sidecar; one that is gone may come back."""
        try:
            state, requests = self._ask()
        except NoStatus as error:
            if self._before is None:
                raise
            return [Row(str(error), "bad")]
        at, now = self._clock(), self._wall()
        rates = {} if self._before is None else rates_between(self._before[1], state.status, at - self._before[0])
        self._before = at, state.status
        total = f"  {'requests':13}{sum(rates.values()):.1f} a second"
        rows = [*heading(state.status, state.ready, address, now), Row(total), Row("")]
        rows += [*routes(state.status, now, rates), Row("")]
        if requests is None:
            return [*rows, Row(_NO_INSPECTOR, "dim")]
        return rows + list(latest(requests[-REQUESTS_MOST:], now))


def _ask(address: ListenAddress) -> Seen:
    state = ask(address)
    try:
        answer = get(address, "/_sidecar/requests", PATIENCE)
    except OSError:
        return Seen(state, None)
    records = answer.json() if answer.status == OK else None
    return Seen(state, records if isinstance(records, list) else None)


class Paper:
    """What is no terminal gets one picture below the other, whole lines, with an empty line between."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._stream.flush()

    def width(self) -> int | None:
        """Any number of columns."""
        return None

    def draw(self, lines: list[str]) -> None:
        self._stream.write("\n".join([*lines, "", ""]))
        self._stream.flush()


class Screen(Paper):
    """A terminal: each picture in the last one's place, on a screen of its own, which is gone afterwards."""

    def __enter__(self) -> Self:
        self._stream.write(_OTHER_SCREEN)
        return self

    def __exit__(self, *raised: object) -> None:
        self._stream.write(_OWN_SCREEN)
        self._stream.flush()

    def width(self) -> int | None:
        """The terminal's columns, which may change."""
        return self._size().columns or None

    def draw(self, lines: list[str]) -> None:
        rows = (self._size().lines or len(lines) + 1) - 1
        shown = "\n".join(line + _REST_OF_LINE for line in lines[:rows])
        self._stream.write(_HOME + shown + _REST_OF_SCREEN)
        self._stream.flush()

    def _size(self) -> os.terminal_size:
        return os.get_terminal_size(self._stream.fileno())


def _interval(text: str) -> float:
    seconds = parse_duration(text)
    if seconds < SHORTEST:
        raise ValueError(f"{text!r} is too short; at least 100ms")
    return seconds


def _count(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text)):
        raise ValueError(f"{text!r} is no whole number from 1")
    return int(text)
