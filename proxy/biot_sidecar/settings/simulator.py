"""What the simulator is told: some of the same settings, read by the same reader, and the life of its tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from biot_sidecar.durations import parse_duration
from biot_sidecar.settings.checks import check_remote, check_secret
from biot_sidecar.settings.loading import raise_problems
from biot_sidecar.settings.names import SECRET, SECRET_COMMAND, SECRET_FILE, SIMULATOR_LISTEN, USER_ID
from biot_sidecar.settings.reader import Reader
from biot_sidecar.settings.secret import Secret
from biot_sidecar.settings.secret_command_run import CommandRun, without_secrets
from biot_sidecar.settings.secret_file import UnreadableSecret, read_secret
from biot_sidecar.settings.values import ListenAddress


class SimulatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`user` is the service user's id and secret, None where the environment names none."""

    user: tuple[str, Secret] | None
    listen: ListenAddress
    warnings: tuple[str, ...]


def load_simulator(env: Mapping[str, str], flags: Mapping[str, str], clock: Callable[[], float]) -> SimulatorSettings:
    """Flag over environment over default; `clock` tells seconds. Raises BadSettings with every problem."""
    reader = Reader(env, flags, "simulate")
    user = _user(reader, clock) if names_service_user(env) else None
    listen = reader.value(SIMULATOR_LISTEN)
    check_remote(reader, SIMULATOR_LISTEN)
    raise_problems(reader)
    return SimulatorSettings(user=user, listen=listen, warnings=tuple(reader.misspelt()))


def check_simulator_listen(env: Mapping[str, str], flags: Mapping[str, str]) -> None:
    """Raises BadSettings for what `demo` passes on to the simulator, and would be wrong there."""
    reader = Reader(env, flags, "demo")
    reader.value(SIMULATOR_LISTEN)
    raise_problems(reader)


def parse_token_life(text: str) -> float:
    """Seconds. Raises ValueError."""
    life = parse_duration(text)
    if life < 1:
        raise ValueError("a token lives for 1s at least")
    return life


def names_service_user(env: Mapping[str, str]) -> bool:
    """True when the environment says anything of a service user: then it has to say all."""
    return bool(env.get(SECRET)) or any(env.get(name, "").strip() for name in (USER_ID, SECRET_FILE, SECRET_COMMAND))


def _user(reader: Reader, clock: Callable[[], float]) -> tuple[str, Secret]:
    identity, secret = reader.value(USER_ID), reader.value(SECRET)
    file, command = reader.value(SECRET_FILE), reader.value(SECRET_COMMAND)
    check_secret(reader)
    if not reader.problems and secret is None:
        try:
            secret = CommandRun(command, without_secrets(reader.env), clock).secret() if command else read_secret(file)
        except UnreadableSecret as error:  # of a file: gone since it was found good
            reader.problem(error.setting, str(error))
    return identity, secret
