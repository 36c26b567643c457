"""The one table of settings: reading, --help, README's table and the checks of single values come from its rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from biot_sidecar.durations import parse_duration
from biot_sidecar.settings import parsers
from biot_sidecar.settings.addresses import parse_base_url
from biot_sidecar.settings.names import (
    ADMIN_LISTEN,
    ALLOW_PLAIN_HTTP,
    ALLOW_REMOTE,
    ALLOWED_HOSTS,
    ALLOWED_ORIGINS,
    ALLOWED_UIDS,
    BASE_URL,
    CA_FILE,
    EVENTS_FD,
    EXTRA_CA_FILE,
    LISTEN,
    OTLP_ENDPOINT,
    ROTATE_BEFORE,
    ROUTES,
    SECRET,
    SECRET_COMMAND,
    SECRET_FILE,
    SECRET_KEY_CHECK,
    SIMULATOR_LISTEN,
    TOKEN_STORE,
    TRACES,
    UPSTREAM_PROXY,
    USER_ID,
    WORKERS,
)
from biot_sidecar.settings.proxy_address import parse_upstream_proxy
from biot_sidecar.settings.secret_command import parse_command
from biot_sidecar.settings.users import parse_users


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """A row. `help` is Markdown, for README; --help shows it without its backquotes.

    `flags` are its flags by command: only the commands that it concerns take one. `default` is parsed as if it had been
    given; a setting without one is `unset`, which `unset_means` tells people and `required`, if it is said, forbids.
    `field` is its name in Settings. `extra` is what has to be installed where the value is true.
    """

    name: str
    help: str
    parse: Callable[[str], object] = str
    default: str = ""
    unset: object = None
    unset_means: str = "none"
    required: str = ""
    flags: Mapping[str, str] = MappingProxyType({})
    field: str = ""
    extra: str = ""
    is_secret: bool = False  # `exec` keeps it from the command
    keeps_blanks: bool = False  # white space around it may belong to it


_SIMULATOR: Final = "127.0.0.1:8788"
_SERVING: Final = ("serve", "worker", "check", "exec")


def _flag(flag: str, *more: str) -> Mapping[str, str]:
    """The same flag for whatever reads all settings of a sidecar, and for `more` commands."""
    return MappingProxyType(dict.fromkeys((*_SERVING, *more), flag))


_SHARED_PROXY_SETTINGS: Final = (
    (
        "HTTPS_PROXY",
        "the proxy on the way to an `https` upstream: `[http://][user:password@]host[:80]` or `https://...[:443]`. "
        "Never for loopback. One that cannot be used is warned about and passed over; `https_proxy` wins",
    ),
    ("HTTP_PROXY", "the same for an `http` upstream; `http_proxy` wins"),
    ("ALL_PROXY", "the same for either, where theirs is not set; `all_proxy` wins"),
    (
        "NO_PROXY",
        "hosts for which none of these is used, comma-separated: names, domains with what is below them, addresses, "
        "networks (`10.0.0.0/8`), each perhaps with `:port`; `*` is all; `no_proxy` wins",
    ),
)
SHARED: Final = frozenset({OTLP_ENDPOINT, *(name for name, _ in _SHARED_PROXY_SETTINGS)})
"""Variables that other programs read as well; settings/upstream_proxy and settings/traces read them, and none of them
stops a start by itself.
"""
SETTINGS: Final = (
    Setting(
        name=BASE_URL,
        flags=_flag("--upstream", "login", "rotate-secret"),
        field="upstream",
        parse=parse_base_url,
        unset_means="required",
        required="is not set; it is BioT's address, such as https://api.<env>.<customer>.biot-med.com",
        help=f"BioT's address, `https://...`; plain http only towards loopback, or with `{ALLOW_PLAIN_HTTP}=1`",
    ),
    Setting(
        name=USER_ID,
        field="service_user_id",
        parse=parsers.plain_text,
        unset_means="required",
        required="is not set; it is the id of the service user that the sidecar logs in as",
        help="the service user's id",
    ),
    Setting(
        name=SECRET,
        field="secret",
        parse=parsers.secret,
        is_secret=True,
        keeps_blanks=True,
        unset_means="one of the three",
        help="the service user's secret key",
    ),
    Setting(
        name=SECRET_FILE,
        field="secret_file",
        is_secret=True,
        unset_means="one of the three",
        help="a file with the secret key, read again before each login",
    ),
    Setting(
        name=SECRET_COMMAND,
        field="secret_command",
        parse=parse_command,
        is_secret=True,
        unset_means="one of the three",
        help="a command that prints the secret key, run before each login: words as a shell splits them, or a JSON "
        "array of words; no shell; at most 5 s and 4 KiB; what it writes to stderr is not shown",
    ),
    Setting(
        name=LISTEN,
        flags=_flag("--listen", "demo", "wait", "status", "top"),
        field="listen",
        default="127.0.0.1:8787",
        unset=(),
        parse=parsers.listen_addresses,
        help="`HOST:PORT` (`localhost`: 127.0.0.1 and ::1), `[::1]:PORT`, `unix:PATH`; several, comma-separated; "
        f"port 0 takes any. Others than loopback need `{ALLOW_REMOTE}=1`",
    ),
    Setting(
        name=ADMIN_LISTEN,
        flags=_flag("--admin-listen", "demo"),
        field="admin_listen",
        parse=parsers.listen_address,
        help="one more listener for `/metrics`, `/healthz`, `/readyz` only; any address",
    ),
    Setting(
        name=ROUTES,
        flags=_flag("--routes", "demo", "explain", "learn"),
        default="config/routes.yaml",
        help="the routes file; without the setting and that file the program's own, with a warning; the ready line of "
        "the log names the file in force",
    ),
    Setting(
        name=ALLOWED_HOSTS,
        field="allowed_hosts",
        parse=parsers.host_names,
        unset_means="loopback, the upstream, `lambda.aws.com`",
        help="what a request's Host may name, comma-separated",
    ),
    Setting(
        name=ALLOWED_UIDS,
        field="allowed_uids",
        parse=parse_users,
        unset_means="any",
        help="users, by name or number and comma-separated, whose processes may call; Linux, loopback and unix sockets "
        "(then of mode 0666); others get 403. Root has no privilege; the sidecar's own user may ask for health and "
        "status",
    ),
    Setting(
        name=ALLOWED_ORIGINS,
        field="allowed_origins",
        parse=parsers.origins,
        unset=frozenset(),
        help="browser origins that may call, comma-separated",
    ),
    Setting(
        name="SIDECAR_LOGIN_AT_START",
        field="login_at_start",
        default="1",
        parse=parsers.switch,
        help="log in while starting, in the background",
    ),
    Setting(
        name=SECRET_KEY_CHECK,
        field="secret_key_check",
        default="1",
        parse=parsers.switch,
        help="ask BioT once a day when the secret key ends, and warn 30, 7 and 1 days before; on Lambda `0` unless set",
    ),
    Setting(
        name=ROTATE_BEFORE,
        field="rotate_before",
        parse=parsers.rotate_before,
        help="rotate the secret key by itself when its end is this near, such as `7d`; only with a secret in a file "
        "that can be replaced",
    ),
    Setting(
        name="SIDECAR_STRING_GAP",
        field="string_gap",
        default="30s",
        parse=parse_duration,
        help="a silence this long ends a string of calls",
    ),
    Setting(
        name="SIDECAR_FRESH_FOR",
        field="fresh_for",
        default="5m",
        parse=parse_duration,
        help="a new string starts with a token no older than this",
    ),
    Setting(
        name="SIDECAR_PLUGIN_LOGIN",
        field="plugin_login",
        default="local",
        parse=parsers.choice("local", "forward", "deny"),
        help="what a plugin's own login gets: `local` a placeholder, `forward`, `deny`",
    ),
    Setting(
        name=TOKEN_STORE,
        field="token_store",
        parse=parsers.redis_url,
        extra="redis",
        is_secret=True,
        help="`redis://`, `rediss://` or `unix://`: share one token and one login among many sidecars; without Redis "
        "each goes on alone. Needs `biot-sidecar[redis]`",
    ),
    Setting(
        name="SIDECAR_MAX_IN_FLIGHT",
        field="max_in_flight",
        default="256",
        parse=parsers.whole_number(1, 100_000),
        help="requests in flight; beyond it requests wait up to 1 s, then get 503",
    ),
    Setting(
        name="SIDECAR_TIMEOUT_MOST",
        field="timeout_most",
        parse=parse_duration,
        help="a ceiling over every route's timeout, and over the answer's body",
    ),
    Setting(
        name="SIDECAR_DRAIN_TIMEOUT",
        field="drain_timeout",
        default="25s",
        parse=parse_duration,
        help="how long a stopping sidecar lets requests end",
    ),
    Setting(
        name=WORKERS,
        field="workers",
        default="1",
        parse=parsers.whole_number(1, 256),
        help="processes that share the port",
    ),
    Setting(
        name="SIDECAR_LOOP_LIMIT",
        field="loop_limit",
        default="8",
        parse=parsers.whole_number(1, 1_000_000),
        help="intercepted requests of one trace, method and path within 60 s",
    ),
    Setting(
        name=CA_FILE,
        unset_means="the system's",
        help="trusted CAs for the upstream, in PEM form; the certificate is always verified. Read again when "
        "it changes",
    ),
    Setting(
        name=EXTRA_CA_FILE,
        help="CAs that are trusted beside those, such as a company's whose proxy inspects TLS. Read again when it "
        "changes",
    ),
    *(Setting(name=name, help=text) for name, text in _SHARED_PROXY_SETTINGS),
    Setting(
        name=UPSTREAM_PROXY,
        flags=_flag("--upstream-proxy", "login", "rotate-secret"),
        field="upstream_proxy",
        parse=parse_upstream_proxy,
        is_secret=True,
        unset_means="the variables above",
        help="the proxy on the way to BioT, whatever the variables above say; `none`: straight",
    ),
    Setting(
        name="SIDECAR_UPSTREAM_MAX_AGE",
        field="upstream_max_age",
        default="5m",
        parse=parse_duration,
        help="a connection to BioT older than this (give or take a fifth) is used no more, so that new addresses "
        "of the name come into use under steady traffic; `0`: no limit",
    ),
    Setting(
        name="SIDECAR_LOG_LEVEL",
        flags=_flag("--log-level"),
        field="log_level",
        default="info",
        parse=parsers.choice("debug", "info", "warning", "error"),
        help="`debug`, `info`, `warning` or `error`",
    ),
    Setting(
        name="SIDECAR_LOG_FORMAT",
        flags=_flag("--log-format"),
        field="log_format",
        parse=parsers.choice("json", "text"),
        unset="",
        unset_means="`text` on a terminal, else `json`",
        help="`json` or `text`, on stderr",
    ),
    Setting(
        name=OTLP_ENDPOINT,
        help="the collector that gets a trace of each call, such as `http://localhost:4318`; its kin (`OTEL_*`: "
        "headers, sampler, batches) count as OpenTelemetry says. Spoken is `http/protobuf`. Needs `biot-sidecar[otel]`",
    ),
    Setting(
        name=TRACES,
        field="traces",
        parse=parsers.switch,
        extra="otel",
        unset_means="as the variable above says",
        help="`0`: no traces, whatever the variable above says; `1`: no start without them",
    ),
    Setting(
        name="SIDECAR_INSPECT",
        field="inspect",
        default="0",
        parse=parsers.switch,
        extra="inspector",
        help="`1` opens the inspector at `/_sidecar/`. Needs `biot-sidecar[inspector]`",
    ),
    Setting(
        name=EVENTS_FD,
        field="events_fd",
        parse=parsers.whole_number(3, 1_000_000),
        help="set by `lambda` and `demo`: the descriptor on which they tell the inspector of the plugin's events",
    ),
    Setting(
        name=ALLOW_PLAIN_HTTP,
        default="0",
        parse=parsers.switch,
        help="`1` allows a plain http upstream beyond loopback",
    ),
    Setting(name=ALLOW_REMOTE, default="0", parse=parsers.switch, help="`1` allows listening beyond loopback"),
    Setting(
        name=SIMULATOR_LISTEN,
        flags=MappingProxyType({"simulate": "--listen", "demo": "--simulator-listen"}),
        default=_SIMULATOR,
        parse=parsers.tcp_address(_SIMULATOR),
        help="where `simulate`, `demo` and `make run` put the simulator: `HOST:PORT`, port 0 takes any",
    ),
)
SECRETS: Final = frozenset(setting.name for setting in SETTINGS if setting.is_secret)
BY_NAME: Final[Mapping[str, Setting]] = MappingProxyType({setting.name: setting for setting in SETTINGS})
DEFAULTS: Final[Mapping[str, str]] = MappingProxyType({setting.name: setting.default for setting in SETTINGS})
OTHERS: Final = frozenset(
    {
        "SIDECAR_URL",
        "BIOT_SIDECAR_EXTENSION",
        "BIOT_APP_NAME",
        "BIOT_JWT_PERMISSION_INTERCEPTION",
        "BIOT_JWT_PERMISSION_NOTIFICATION",
        "BIOT_PUBLIC_KEY",
        "BIOT_SERVICE_ENVIRONMENT",
        "BIOT_SHOULD_VALIDATE_JWT",
    }
)
"""Names that `exec` gives its command, a bundle for Lambda its sidecar and BioT its plugins: no slips of settings."""


def flags_for(command: str) -> dict[str, str]:
    """Setting -> the flag that this command has for it."""
    return {setting.name: setting.flags[command] for setting in SETTINGS if command in setting.flags}


FLAGS: Final[Mapping[str, str]] = MappingProxyType(flags_for("serve"))


def set_elsewhere(name: str) -> str:
    """What to do about an address that cannot be had, for the end of a message."""
    return f"set {name}{f' ({FLAGS[name]})' if name in FLAGS else ''} to another address"
