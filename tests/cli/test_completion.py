"""`biot-sidecar completion`, and the manual page: made from the commands, and up to date with them."""

from __future__ import annotations

import subprocess
import sys

import pytest
from biot_sidecar.__main__ import COMMANDS
from biot_sidecar.cli.completion import SHELLS, completion_file
from biot_sidecar.cli.parsing import whole_parser

from tests.cli.shell_files import MANUAL_PAGE, completion, manual_page
from tests.cli.support import ran
from tests.support import wants

# argparse words its help anew in every version; the files are written by the oldest.
written_by_this_python = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="Python 3.11 writes the files")


@written_by_this_python
@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_knows_what_the_commands_know(capsys, shell):
    assert "\n".join(ran(capsys, "completion", shell).out) + "\n" == completion(shell), "run `make completion`"


@written_by_this_python
def test_the_manual_page_says_what_the_commands_say():
    assert MANUAL_PAGE.read_text() == manual_page(), "run `make completion`"


@pytest.mark.parametrize("words", [["pwsh"], []])
def test_another_shell_is_a_wrong_command_line(capsys, words):
    assert ran(capsys, "completion", *words).status == 2


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("ch", ["check"]), ("check --gi", ["--github"]), ("rotate --zz", []), ("completion f", ["fish"])],
)
def test_bash_completes(typed, offered):
    words = ["biot-sidecar", *typed.split()]
    script = (
        f"source {completion_file('bash')}; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; "
        "_shtab_biot_sidecar; echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=30, check=False)
    assert (done.stdout.split(), done.stderr) == (offered, "")


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_shell_itself_can_read_it(shell):
    done = subprocess.run(
        [wants.program(shell), "-n", completion_file(shell)], capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_is_in_the_whole_parser():
    help_text = whole_parser().format_help().replace("\n", " ")  # a long name has a line of its own
    assert all(f"    {command} " in help_text for command in COMMANDS)
