"""The program's commands, and what `biot-sidecar --help` says of them. A command's module has its name, `_` for `-`."""

from __future__ import annotations

from typing import Final


class Command:
    """`help` is what --help says of it; `extra` what has to be installed beside the sidecar.

    No NamedTuple, for which Python imports more than this program's start can do with.
    """

    def __init__(self, help: str, extra: str = "") -> None:  # noqa: A002 - argparse's word
        self.help = help
        self.extra = extra


COMMANDS: Final = {
    "serve": Command("the sidecar (the default)"),
    "demo": Command("a BioT simulator and the sidecar together", extra="simulator"),
    "simulate": Command("the BioT simulator alone", extra="simulator"),
    "check": Command("validate settings and routes, run the routes file's own tests"),
    "init": Command("write a routes file of your own, config/routes.yaml, and its schema"),
    "explain": Command("which rule answers a request, and what it does"),
    "learn": Command("turn access logs into the smallest routes file for what was seen"),
    "status": Command("what a running sidecar says of its token, logins and routes"),
    "top": Command("the same live, with the latest requests where the inspector is on"),
    "login": Command("log in once and say what happened"),
    "rotate-secret": Command("make a new secret key, prove it, and put it in the place of the old one"),
    "wait": Command("wait until the sidecar is ready"),
    "exec": Command("run a command with a sidecar beside it"),
    "lambda": Command("run a Lambda plugin here, with a sidecar beside it", extra="simulator"),
    "trigger": Command("send a plugin an event as BioT would, without a change", extra="simulator"),
    "completion": Command("print what makes bash, zsh or fish complete these commands"),
}
ABOUT: Final = {"help": "this list; help COMMAND: that command's flags", "version": "which version this is"}
INTERNAL: Final = {"worker": Command("one of several serving processes; started by serve")}

DESCRIPTION: Final = "Takes a plugin's requests on localhost, logs in at BioT and forwards them."
ENVIRONMENT: Final = {
    "BIOT_BASE_URL": "BioT's address, https://...",
    "BIOT_SERVICE_USER_ID": "the service user that logs in",
    "BIOT_SERVICE_USER_SECRET_KEY": "its secret key; or ..._SECRET_KEY_FILE, or SIDECAR_SECRET_COMMAND",
    "SIDECAR_LISTEN": "where plugins call, 127.0.0.1:8787 by default",
    "SIDECAR_ROUTES": "the routes file, config/routes.yaml by default",
    "NO_COLOR": "set to anything: no colours on a terminal",
}
ELSEWHERE: Final = "README.md lists every setting."
STATUSES: Final = {
    "0": "a clean stop",
    "1": "wrong configuration, or what was asked for is not so",
    "2": "a wrong command line",
    "3": "the listen address cannot be had",
    "130": "ended by Ctrl-C; exec ends with the status of its command",
}
EXAMPLE: Final = ("biot-sidecar demo &", "curl http://localhost:8787/ums/v2/services/self")


def module_of(name: str) -> str:
    """Where a command's code is."""
    return f"biot_sidecar.cli.{name.replace('-', '_')}"


def overview() -> str:
    """What `biot-sidecar --help` shows."""
    summaries = {name: command.help for name, command in COMMANDS.items()} | ABOUT
    return "\n".join(
        [
            "usage: biot-sidecar [COMMAND] [--help]",
            "",
            DESCRIPTION,
            "",
            *_listed(summaries, 15),
            "",
            "environment:",
            *_listed(ENVIRONMENT, 30),
            f"  {ELSEWHERE}",
            "",
            "exit status:",
            *_listed(STATUSES, 5),
            "",
            "example:",
            *(f"  {line}" for line in EXAMPLE),
        ]
    )


def _listed(meanings: dict[str, str], width: int) -> list[str]:
    return [f"  {name:{width}}{meaning}" for name, meaning in meanings.items()]
