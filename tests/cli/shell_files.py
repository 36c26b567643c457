"""The completions and the manual page, made from the commands' own parsers: `make completion` writes them anew."""

from __future__ import annotations

import os
from pathlib import Path

from biot_sidecar.cli.commands import DESCRIPTION, ELSEWHERE, ENVIRONMENT, EXAMPLE, STATUSES
from biot_sidecar.cli.completion import SHELLS, completion_file
from biot_sidecar.cli.parsing import whole_parser

MANUAL_PAGE = Path(__file__).parents[2] / "docs" / "biot-sidecar.1"
WIDTH = "100"


def completion(shell: str) -> str:
    """What a shell reads."""
    import shtab

    return shtab.complete(whole_parser(), shell).rstrip("\n") + "\n"


def manual_page() -> str:
    """The page in man's own form; of no date, so that it changes only when the commands do."""
    from argparse_manpage.manpage import Manpage

    os.environ["COLUMNS"] = WIDTH  # argparse asks for the terminal's width nowhere else
    parser = whole_parser()
    parser._manpage = [
        {"heading": "environment", "content": _described(ENVIRONMENT) + f".PP\n{ELSEWHERE}"},
        {"heading": "exit status", "content": _described(STATUSES).rstrip()},
        {"heading": "example", "content": ".nf\n" + "\n".join(map(_plain, EXAMPLE)) + "\n.fi"},
    ]
    about = {"date": " ", "manual_title": "User Commands", "description": DESCRIPTION.rstrip(".")}
    return str(Manpage(parser, about))


def _described(meanings: dict[str, str]) -> str:
    return "".join(f".TP\n.B {_plain(name)}\n{_plain(meaning)}\n" for name, meaning in meanings.items())


def _plain(text: str) -> str:
    return text.replace("-", "\\-").replace("...", "\\&...")


if __name__ == "__main__":
    for shell in SHELLS:
        Path(completion_file(shell)).write_text(completion(shell))
    MANUAL_PAGE.write_text(manual_page())
