"""`biot-sidecar completion bash|zsh|fish`: print what makes a shell complete the commands and their flags.

The texts are files that shtab writes from the commands' own parsers (`make completion`), so that nothing is installed
beside the sidecar, and a Tab starts no Python.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from typing import Final

from biot_sidecar.regular_file import read_file

FOLDER: Final = os.path.join(os.path.dirname(__file__), "completions")
SHELLS: Final = ("bash", "zsh", "fish")
LARGEST: Final = 256 * 1024
_EPILOG: Final = """\
bash:  biot-sidecar completion bash > ~/.local/share/bash-completion/completions/biot-sidecar
zsh:   biot-sidecar completion zsh > "${fpath[1]}/_biot-sidecar"
fish:  biot-sidecar completion fish > ~/.config/fish/completions/biot-sidecar.fish
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The shell."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """0."""
    sys.stdout.write(read_file(completion_file(args.shell), LARGEST).decode())
    return 0


def completion_file(shell: str) -> str:
    """The path of the text for a shell."""
    return os.path.join(FOLDER, f"biot-sidecar.{shell}")
