"""What the simulator is told: the same settings, read by the same reader."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from biot_sidecar.durations import parse_duration
from biot_sidecar.errors import BadSettings
from biot_sidecar.settings.files import UnreadableSecret, read_secret
from biot_sidecar.settings.names import FLAGS, SECRET, SECRET_FILE, SIMULATOR_LISTEN, USER_ID
from biot_sidecar.settings.read import Reader
from biot_sidecar.settings.secret import Secret
from biot_sidecar.settings.values import ListenAddress

TOKEN_LIFE: Final = "--token-life"


class SimulatorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`user` is the service user's id and secret, None where the environment names none; `token_life` is seconds."""

    user: tuple[str, Secret] | None
    listen: ListenAddress
    token_life: float
    warnings: tuple[str, ...]


def load_simulator(env: Mapping[str, str], flags: Mapping[str, str], token_life: str) -> SimulatorSettings:
    """Flag over environment over default. Raises BadSettings with every problem."""
    reader = _SimulatorReader(env, flags)
    read = SimulatorSettings(
        user=reader.user() if names_service_user(env) else None,
        listen=reader.simulator_listen(),
        token_life=reader.token_life(token_life),
        warnings=tuple(reader.misspelt()),
    )
    if reader.problems:
        raise BadSettings(reader.problems, reader.misspelt())
    return read


def names_service_user(env: Mapping[str, str]) -> bool:
    """True when the environment says anything of a service user: then it has to say all."""
    return bool(env.get(SECRET)) or any(env.get(name, "").strip() for name in (USER_ID, SECRET_FILE))


class _SimulatorReader(Reader):
    flag_names = MappingProxyType({**FLAGS, SIMULATOR_LISTEN: "--listen"})

    def user(self) -> tuple[str, Secret]:
        identity, (secret, file) = self.user_id(), self.secret()
        if file is not None and not self.problems:
            try:
                secret = read_secret(file)
            except UnreadableSecret as error:  # gone since it was found good
                self.problems.append(f"{SECRET_FILE}: {error}")
        return identity, secret or Secret("")

    def token_life(self, text: str) -> float:
        try:
            life = parse_duration(text.strip())
        except ValueError as error:
            self.problems.append(f"{TOKEN_LIFE}: {error}")
            return 0.0
        if life < 1:
            self.problems.append(f"{TOKEN_LIFE}: a token lives for 1s at least")
        return life
