"""`biot-sidecar exec -- CMD ARG...`: a command with a sidecar beside it, for as long as it runs."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Mapping, Sequence
from typing import Final

from biot_sidecar.cli.child_process import CHILD_ENDED, FORWARDED, Child, Signals, finish, reap, start, start_own
from biot_sidecar.cli.flags import add_setting_flags, flags_of, required_command_of
from biot_sidecar.cli.ready_line import first_base_url
from biot_sidecar.cli.standard_streams import say
from biot_sidecar.errors import BadSettings
from biot_sidecar.settings import load_listen
from biot_sidecar.settings.names import ALLOWED_UIDS, BASE_URL, LISTEN
from biot_sidecar.settings.table import FLAGS, SECRETS

_EPILOG: Final = """\
CMD finds the sidecar's address in BIOT_BASE_URL (and in SIDECAR_URL), and localhost in NO_PROXY. It does not get
BIOT_SERVICE_USER_SECRET_KEY, ..._SECRET_KEY_FILE, SIDECAR_SECRET_COMMAND and SIDECAR_TOKEN_STORE. A plugin that insists
on logging in itself is content with any secret: exec -- env BIOT_SERVICE_USER_SECRET_KEY=unused CMD.

CMD gets the signals that exec gets, and exec ends with CMD's exit status: 128+n after signal n, 127 if there is no such
command, 126 if it cannot be run. The sidecar ends after CMD. Should it end before, CMD is told to end (SIGTERM) and the
exit status is 1.
"""
_NO_PROXY: Final = ("localhost", "127.0.0.1")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The settings' flags, then the command."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    parser.usage = "%(prog)s [FLAG...] -- CMD [ARG...]"
    add_setting_flags(parser, "exec")
    parser.add_argument(
        "--allow-uid",
        action="append",
        metavar="USER",
        help=f"only this user's processes may call, by name or number; repeatable; sets {ALLOWED_UIDS}",
    )
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="CMD", help="the command and its arguments")


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """The command's exit status, or the sidecar's if it does not start. Raises BadSettings and WrongCommandLine."""
    command = required_command_of(args, "exec")
    flags = flags_of(args)
    refuse_unix_only(flags, env)
    words = [f"{FLAGS[name]}={value}" for name, value in flags.items()]
    with Signals(FORWARDED) as signals:
        # Under systemd the service is CMD: the sidecar does not report in its place.
        own = {name: value for name, value in env.items() if name != "NOTIFY_SOCKET"}
        if args.allow_uid:
            own[ALLOWED_UIDS] = ",".join(args.allow_uid)
        sidecar = start_own(["serve", *words], own, signals)
        url = first_base_url(sidecar.first_line(signals))
        if url is None:  # the command has not run
            told = signals.ending
            status = finish(sidecar, signals)
            return 128 + told if told else status or 1
        status = _run_beside(sidecar, command, command_environment(env, url), signals)
        finish(sidecar, signals)
    return status


def _run_beside(sidecar: Child, words: Sequence[str], env: Mapping[str, str], signals: Signals) -> int:
    """Run the command to its end; its exit status, or 1 if the sidecar ended first."""
    try:
        command = start(words, env, signals)
    except (OSError, ValueError) as error:
        return cannot_run(words[0], error)
    sidecar.take_along(command.pid)
    lost = False
    while command.status is None:
        number, from_terminal = signals.next()
        if number != CHILD_ENDED:
            # What the terminal sends, it sends to the command as well.
            if not from_terminal:
                command.send(number)
            continue
        reap(command, sidecar)
        if sidecar.status is not None and command.status is None and not lost:
            lost = True
            say(f"the sidecar ended (status {sidecar.status}), so {words[0]} is told to end too")
            command.send(signal.SIGTERM)
    sidecar.take_along(0)
    return 1 if lost else command.status


def cannot_run(word: str, error: Exception) -> int:
    """Say so; 127 if there is no such command, else 126, as shells do."""
    if isinstance(error, FileNotFoundError):
        say(f"{word}: there is no such command")
        return 127
    say(f"{word}: cannot be run: {getattr(error, 'strerror', None) or error}")
    return 126


def command_environment(env: Mapping[str, str], url: str) -> dict[str, str]:
    """What the command gets: the sidecar's address in place of BioT's, and nothing that opens BioT without it."""
    given = {name: value for name, value in env.items() if name not in SECRETS}
    # Some programs read only one of the two spellings, and none reads both.
    known = [part for name in ("NO_PROXY", "no_proxy") for part in env.get(name, "").split(",")]
    no_proxy = ",".join(dict.fromkeys(part.strip() for part in [*known, *_NO_PROXY] if part.strip()))
    return given | {BASE_URL: url, "SIDECAR_URL": url, "NO_PROXY": no_proxy, "no_proxy": no_proxy}


def refuse_unix_only(flags: Mapping[str, str], env: Mapping[str, str]) -> None:
    """Raises BadSettings where the command could not be told an address."""
    if all(address.path for address in load_listen(env, flags)):
        name = FLAGS[LISTEN] if LISTEN in flags else LISTEN
        raise BadSettings(
            [f"{name}: {BASE_URL} cannot name a unix socket; add an address for the command, such as 127.0.0.1:0"]
        )
