"""Environment and flags -> what a command needs to know, or one BadSettings with every problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from biot_sidecar.errors import BadSettings
from biot_sidecar.settings.checks import check_all
from biot_sidecar.settings.names import ALLOW_REMOTE, CA_FILE, EXTRA_CA_FILE, LISTEN, SECRET_KEY_CHECK, TRACES
from biot_sidecar.settings.reader import Reader
from biot_sidecar.settings.routes_path import find_routes_file
from biot_sidecar.settings.table import SETTINGS
from biot_sidecar.settings.upstream_proxy import choose_upstream_proxy
from biot_sidecar.settings.values import ListenAddress, Settings, UpstreamUrl

LOOPBACK_HOSTS: Final = frozenset({b"localhost", b"127.0.0.1", b"::1"})
SEED_HOST: Final = b"lambda.aws.com"
"""What BioT's Python seed plugin says in Host, wherever it calls."""


def load(env: Mapping[str, str], flags: Mapping[str, str]) -> Settings:
    """Everything that `serve` needs. Raises BadSettings."""
    reader = Reader(env, flags)
    values = {row.name: reader.value(row.name) for row in SETTINGS}
    check_all(reader)
    proxy = choose_upstream_proxy(reader)
    traces = _wants_traces(reader)
    raise_problems(reader)
    fields = {row.field: values[row.name] for row in SETTINGS if row.field}
    fields["upstream"] = msgspec.structs.replace(
        fields["upstream"], ca_file=values[CA_FILE], extra_ca_file=values[EXTRA_CA_FILE]
    )
    fields["allowed_hosts"] = fields["allowed_hosts"] or _own_hosts(fields["upstream"])
    fields["upstream_proxy"] = proxy
    fields["traces"] = traces
    fields["lambda_api"] = env.get("AWS_LAMBDA_RUNTIME_API", "").strip()
    # Frozen between events, a function is no place for work in the background.
    fields["secret_key_check"] &= bool(env.get(SECRET_KEY_CHECK, "").strip()) or "AWS_LAMBDA_FUNCTION_NAME" not in env
    return Settings(**fields, routes=find_routes_file(env, flags), warnings=(*reader.misspelt(), *reader.warnings))


def load_listen(env: Mapping[str, str], flags: Mapping[str, str]) -> tuple[ListenAddress, ...]:
    """SIDECAR_LISTEN alone, for those who only look for the sidecar. Raises BadSettings."""
    reader = Reader(env, flags)
    addresses: tuple[ListenAddress, ...] = reader.value(LISTEN)
    raise_problems(reader)
    return addresses


def raise_problems(reader: Reader) -> None:
    """Raises BadSettings if there is any."""
    if reader.problems:
        raise BadSettings(reader.problems, reader.misspelt())


def misspelt(env: Mapping[str, str]) -> list[str]:
    """A warning for each name in the environment that is a setting's but for a slip."""
    return Reader(env, {}).misspelt()


def allows_remote(env: Mapping[str, str]) -> bool:
    """SIDECAR_ALLOW_REMOTE alone, for listeners that others bind; nonsense, which `load` refuses, allows nothing."""
    return bool(Reader(env, {}).value(ALLOW_REMOTE))


def _wants_traces(reader: Reader) -> bool:
    if not any(name.startswith("OTEL_") for name in reader.env) and reader.value(TRACES) is None:
        return False
    from biot_sidecar.settings.traces import wants_traces  # for those who may have a collector only

    return wants_traces(reader)


def _own_hosts(upstream: UpstreamUrl) -> frozenset[bytes]:
    return LOOPBACK_HOSTS | {upstream.host.lower().removesuffix(".").encode("ascii"), SEED_HOST}
