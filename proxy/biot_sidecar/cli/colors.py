"""Colours, where a terminal shows them and nobody asked for none (https://no-color.org)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TextIO

from biot_sidecar.platform import COLORS_TOLD_BY

STYLES: Final = {"": "", "bold": "1", "dim": "2", "good": "32", "bad": "31", "warning": "33"}


class Palette:
    """`paint` puts a text into a style, or leaves it as it is."""

    def __init__(self, *, colored: bool) -> None:
        self._colored = colored

    def paint(self, text: str, style: str) -> str:
        """The text in one of STYLES."""
        code = STYLES[style]
        return f"\x1b[{code}m{text}\x1b[0m" if self._colored and code else text


def palette_for(stream: TextIO, env: Mapping[str, str]) -> Palette:
    """Colours for a terminal; none with NO_COLOR set to anything, nor for TERM=dumb, nor for Windows' old console."""
    understood = not COLORS_TOLD_BY or COLORS_TOLD_BY in env
    return Palette(colored=stream.isatty() and understood and not env.get("NO_COLOR") and env.get("TERM") != "dumb")
