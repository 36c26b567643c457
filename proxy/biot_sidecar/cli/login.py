"""`biot-sidecar login`: logs in once and says what happened, never the token."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from biot_sidecar.auth.login_failure import LoginFailure
from biot_sidecar.cli.flags import add_setting_flags, flags_of
from biot_sidecar.cli.standard_streams import say
from biot_sidecar.durations import show_duration
from biot_sidecar.settings import load
from biot_sidecar.timestamps import iso


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    add_setting_flags(parser, "login")


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """0 with a token that BioT gave, 1 with the reason on stderr. Raises BadSettings."""
    settings = load(env, flags_of(args))
    say(*settings.warnings)
    from biot_sidecar.process.oneshot import timed_login  # only once there is something to do

    report = timed_login(settings)
    result, took = report.result, f"{report.seconds * 1000:.0f} ms"
    if isinstance(result, LoginFailure):
        say(*filter(None, [f"{result.message} ({result.code.value}, after {took})", result.hint]))
        return 1
    via = f" via {settings.via}" if settings.via else ""
    life = show_duration(int(result.expires - result.obtained))  # of a Date that tells no fractions
    print(
        f"logged in at {settings.upstream.url}{via} as {settings.service_user_id} in {took}; "
        f"the token expires at {iso(result.expires)}, in {life}"
    )
    for line in filter(None, [describe_handshakes(report.handshakes), report.secret_key]):
        print(line)
    return 0


def describe_handshakes(handshakes: list[str]) -> str:
    """The login's own handshake, and that of the connection after it, which could resume its session."""
    return "; the next connection: ".join(handshakes[:1] + [one.rpartition(", ")[2] for one in handshakes[1:2]])
