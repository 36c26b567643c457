"""When there are colours."""

from __future__ import annotations

import io

import pytest
from biot_sidecar.cli.colors import palette_for


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "env", "colored"),
    [
        (Terminal(), {}, True),
        (Terminal(), {"NO_COLOR": ""}, True),  # https://no-color.org: "when present and not an empty string"
        (Terminal(), {"NO_COLOR": "0"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {}, False),
    ],
)
def test_colours_are_for_terminals_whose_user_did_not_refuse_them(stream, env, colored):
    assert palette_for(stream, env).paint("x", "bad") == ("\x1b[31mx\x1b[0m" if colored else "x")
