"""Every setting: its name, flag, default and what --help says of it."""

from __future__ import annotations

from typing import Final, NamedTuple


class Setting(NamedTuple):
    """`flag` is empty where a setting has none; `default` is what an unset one means."""

    name: str
    flag: str
    default: str
    help: str


BASE_URL: Final = "BIOT_BASE_URL"
USER_ID: Final = "BIOT_SERVICE_USER_ID"
SECRET: Final = "BIOT_SERVICE_USER_SECRET_KEY"
SECRET_FILE: Final = "BIOT_SERVICE_USER_SECRET_KEY_FILE"
SIMULATOR_LISTEN: Final = "SIDECAR_SIMULATOR_LISTEN"

SETTINGS: Final = (
    Setting(BASE_URL, "--upstream", "", "BioT's address, https://..."),
    Setting(USER_ID, "", "", "the service user's id"),
    Setting(SECRET, "", "", "the service user's secret key"),
    Setting(SECRET_FILE, "", "", "a file with the secret key, read again before each login"),
    Setting("SIDECAR_LISTEN", "--listen", "127.0.0.1:8787", "HOST:PORT, [::1]:PORT or unix:PATH, comma-separated"),
    Setting(SIMULATOR_LISTEN, "", "127.0.0.1:8788", "the simulator's HOST:PORT, for simulate and demo"),
    Setting("SIDECAR_ADMIN_LISTEN", "--admin-listen", "", "one more listener for /metrics, /healthz and /readyz only"),
    Setting("SIDECAR_ROUTES", "--routes", "config/routes.yaml", "the routes file"),
    Setting("SIDECAR_ALLOWED_HOSTS", "", "", "names that a request's Host may have, comma-separated"),
    Setting("SIDECAR_ALLOWED_ORIGINS", "", "", "browser origins that may call, comma-separated"),
    Setting("SIDECAR_LOGIN_AT_START", "", "1", "log in while starting"),
    Setting("SIDECAR_STRING_GAP", "", "30s", "a silence this long ends a string of calls"),
    Setting("SIDECAR_FRESH_FOR", "", "5m", "a new string starts with a token no older than this"),
    Setting("SIDECAR_PLUGIN_LOGIN", "", "local", "what a plugin's own login gets: local, forward or deny"),
    Setting("SIDECAR_TOKEN_STORE", "", "", "redis://...: share one token among many sidecars"),
    Setting("SIDECAR_MAX_IN_FLIGHT", "", "256", "requests in flight; more wait up to 1s, then get 503"),
    Setting("SIDECAR_DRAIN_TIMEOUT", "", "25s", "how long a stopping sidecar lets requests end"),
    Setting("SIDECAR_WORKERS", "", "1", "processes that share the port"),
    Setting("SIDECAR_LOOP_LIMIT", "", "8", "intercepted requests of one trace, method and path within 60s"),
    Setting("SIDECAR_CA_FILE", "", "", "trusted CAs for the upstream, in PEM form"),
    Setting("SIDECAR_LOG_LEVEL", "--log-level", "info", "debug, info, warning or error"),
    Setting("SIDECAR_LOG_FORMAT", "--log-format", "", "json or text; unset: text on a terminal, else json"),
    Setting("SIDECAR_INSPECT", "", "0", "1 opens the inspector at /_sidecar/"),
    Setting("SIDECAR_ALLOW_PLAIN_HTTP", "", "0", "1 allows a plain http upstream beyond loopback"),
    Setting("SIDECAR_ALLOW_REMOTE", "", "0", "1 allows listening beyond loopback"),
)
DEFAULTS: Final = {setting.name: setting.default for setting in SETTINGS}
FLAGS: Final = {setting.name: setting.flag for setting in SETTINGS if setting.flag}
# Read by commands other than serve, so not unknown.
OTHERS: Final = frozenset({"SIDECAR_URL"})


def set_elsewhere(name: str) -> str:
    """What to do about an address that cannot be had, for the end of a message."""
    return f"set {name}{f' ({FLAGS[name]})' if name in FLAGS else ''} to another address"
