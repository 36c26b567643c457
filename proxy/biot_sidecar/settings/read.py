"""Reads every setting, checks them all, and reports all problems of one start together."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from typing import Final, TypeVar
from urllib.parse import urlsplit

from biot_sidecar.durations import parse_duration
from biot_sidecar.errors import BadSettings
from biot_sidecar.extras import lack_of
from biot_sidecar.settings.addresses import is_host, is_ip, is_loopback, parse_address, parse_base_url
from biot_sidecar.settings.ca_file import ca_file_problem
from biot_sidecar.settings.files import (
    UnreadableSecret,
    odd_about_secret,
    read_secret,
    secret_file_problem,
    without_line_ending,
)
from biot_sidecar.settings.names import (
    BASE_URL,
    DEFAULTS,
    FLAGS,
    OTHERS,
    SECRET,
    SECRET_FILE,
    SIMULATOR_LISTEN,
    USER_ID,
)
from biot_sidecar.settings.routes_path import find_routes_file
from biot_sidecar.settings.secret import Secret
from biot_sidecar.settings.values import ListenAddress, Settings, UpstreamUrl
from biot_sidecar.suggest import nearest

Value = TypeVar("Value")

LOOPBACK_HOSTS: Final = frozenset({b"localhost", b"127.0.0.1", b"::1"})
SEED_HOST: Final = b"lambda.aws.com"
"""What BioT's Python seed plugin says in Host, wherever it calls."""
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_ORIGIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_YES: Final = frozenset({"1", "true", "yes", "on"})
_NO: Final = frozenset({"0", "false", "no", "off", ""})


def load(env: Mapping[str, str], flags: Mapping[str, str]) -> Settings:
    """Flag over environment over default; `flags` are keyed by setting name. Raises BadSettings with every problem."""
    reader = Reader(env, flags)
    settings = reader.settings()
    if reader.problems or settings is None:
        raise BadSettings(reader.problems, reader.misspelt())
    return settings


def load_listen(env: Mapping[str, str], flags: Mapping[str, str]) -> tuple[ListenAddress, ...]:
    """SIDECAR_LISTEN alone, for those who only look for the sidecar. Raises BadSettings."""
    reader = Reader({**env, "SIDECAR_ALLOW_REMOTE": "1"}, flags)
    addresses = reader.listen()
    if reader.problems:
        raise BadSettings(reader.problems, reader.misspelt())
    return addresses


def misspelt(env: Mapping[str, str]) -> list[str]:
    """A warning for each name in the environment that is a setting's but for a slip."""
    return Reader(env, {}).misspelt()


def allows_remote(env: Mapping[str, str]) -> bool:
    """SIDECAR_ALLOW_REMOTE alone, for listeners that others bind; nonsense, which `load` refuses, allows nothing."""
    return Reader(env, {}).switch("SIDECAR_ALLOW_REMOTE")


class Reader:
    """Reads settings one by one and keeps every problem; `flag_names` are what users call those that came as flags."""

    flag_names: Mapping[str, str] = FLAGS

    def __init__(self, env: Mapping[str, str], flags: Mapping[str, str]) -> None:
        self._env = env
        self._flags = flags
        self.problems: list[str] = []
        self._odd: list[str] = []

    def settings(self) -> Settings | None:
        upstream = self._upstream()
        listen = self.listen()
        admin_listen = self._admin_listen()
        self.simulator_listen()
        secret, secret_file = self.secret()
        values = {
            "service_user_id": self.user_id(),
            "secret": secret,
            "secret_file": secret_file,
            "listen": listen,
            "admin_listen": admin_listen,
            "routes": find_routes_file(self._env, self._flags),
            "allowed_hosts": self._allowed_hosts(upstream),
            "allowed_origins": self._allowed_origins(),
            "login_at_start": self.switch("SIDECAR_LOGIN_AT_START"),
            "string_gap": self._duration("SIDECAR_STRING_GAP"),
            "fresh_for": self._duration("SIDECAR_FRESH_FOR"),
            "plugin_login": self._choice("SIDECAR_PLUGIN_LOGIN", "local", "forward", "deny"),
            "token_store": self._token_store(),
            "max_in_flight": self._number("SIDECAR_MAX_IN_FLIGHT", 1, 100_000),
            "drain_timeout": self._duration("SIDECAR_DRAIN_TIMEOUT"),
            "workers": self._number("SIDECAR_WORKERS", 1, 256),
            "loop_limit": self._number("SIDECAR_LOOP_LIMIT", 1, 1_000_000),
            "log_level": self._choice("SIDECAR_LOG_LEVEL", "debug", "info", "warning", "error"),
            "log_format": self._choice("SIDECAR_LOG_FORMAT", "json", "text")
            if self._text("SIDECAR_LOG_FORMAT")
            else "",
            "inspect": self._inspect(),
        }
        self._refuse_odd_listeners(upstream, listen, admin_listen)
        if upstream is None or self.problems:
            return None
        warnings = (*self._warnings(), *_odd_secret(secret, secret_file))
        return Settings(upstream=upstream, warnings=warnings, **values)  # type: ignore[arg-type]

    # ---- one value each

    def _text(self, name: str) -> str:
        given = (source.get(name, "").strip() for source in (self._flags, self._env))
        return next(filter(None, given), DEFAULTS[name])

    def _problem(self, name: str, reason: str) -> None:
        flag = self.flag_names.get(name)
        problem = f"{flag if flag and name in self._flags else name}: {reason}"
        if problem not in self.problems:  # a setting may be read twice
            self.problems.append(problem)

    def parsed(self, name: str, parse: Callable[[str], Value], fallback: Value) -> Value:
        try:
            return parse(self._text(name))
        except ValueError as error:
            self._problem(name, str(error))
            return fallback

    def _duration(self, name: str) -> float:
        return self.parsed(name, parse_duration, 0.0)

    def _number(self, name: str, least: int, most: int) -> int:
        def parse(text: str) -> int:
            if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
                raise ValueError(f"{text!r} is no whole number from {least} to {most}")
            return int(text)

        return self.parsed(name, parse, least)

    def switch(self, name: str) -> bool:
        def parse(text: str) -> bool:
            if text.lower() not in _YES | _NO:
                raise ValueError(f"{text!r} is neither 1 nor 0")
            return text.lower() in _YES

        return self.parsed(name, parse, False)

    def _choice(self, name: str, *choices: str) -> str:
        def parse(text: str) -> str:
            if text.lower() not in choices:
                near = nearest(text.lower(), choices)
                hint = f"; did you mean {near}?" if near else ""
                raise ValueError(f"{text!r} is none of {', '.join(choices)}{hint}")
            return text.lower()

        return self.parsed(name, parse, choices[0])

    # ---- the ones with rules of their own

    def _upstream(self) -> UpstreamUrl | None:
        plain_http = self.switch("SIDECAR_ALLOW_PLAIN_HTTP")
        ca_file = self._text("SIDECAR_CA_FILE") or None
        if ca_file is not None:
            reason, odd = ca_file_problem(ca_file)
            if reason:
                self._problem("SIDECAR_CA_FILE", reason)
            if odd:
                self._odd.append(f"SIDECAR_CA_FILE: {odd}")
        if not self._text(BASE_URL):
            self._problem(
                BASE_URL, "is not set; it is BioT's address, such as https://api.<env>.<customer>.biot-med.com"
            )
            return None
        return self.parsed(BASE_URL, lambda text: parse_base_url(text, plain_http=plain_http, ca_file=ca_file), None)

    def user_id(self) -> str:
        user_id = self._text(USER_ID)
        if not user_id:
            self._problem(USER_ID, "is not set; it is the id of the service user that the sidecar logs in as")
        if not _is_text(user_id):
            self._problem(USER_ID, "is not UTF-8 text")
        return user_id

    def secret(self) -> tuple[Secret | None, str | None]:
        # White space may belong to the secret, so it does not go through _text.
        secret, file = self._env.get(SECRET) or None, self._text(SECRET_FILE) or None
        if secret is not None:
            secret = without_line_ending(secret)
        if secret is None and file is None:
            self._problem(SECRET, f"is not set; set it or {SECRET_FILE}")
        elif secret is not None and file is not None:
            self._problem(SECRET, f"and {SECRET_FILE} are both set; one of them is enough")
        elif file is not None and (reason := secret_file_problem(file)):
            self._problem(SECRET_FILE, reason)
        elif secret == "":
            self._problem(SECRET, "holds a line ending and nothing else")
        elif not _is_text(secret or ""):
            self._problem(SECRET, "is not UTF-8 text")
        return (None if secret is None else Secret(secret)), file

    def listen(self) -> tuple[ListenAddress, ...]:
        remote = self.switch("SIDECAR_ALLOW_REMOTE")
        addresses: list[ListenAddress] = []
        parts = _listed(self._text("SIDECAR_LISTEN"))
        if not parts:
            self._problem("SIDECAR_LISTEN", "names no address; write HOST:PORT, [::1]:PORT or unix:PATH")
        for part in parts:
            try:
                addresses.append(listen_address(part, remote=remote))
            except ValueError as error:
                self._problem("SIDECAR_LISTEN", str(error))
        return tuple(addresses)

    def _admin_listen(self) -> ListenAddress | None:
        if not self._text("SIDECAR_ADMIN_LISTEN"):
            return None
        return self.parsed("SIDECAR_ADMIN_LISTEN", _optional_address, None)

    def simulator_listen(self) -> ListenAddress:
        """The simulator's address; only `simulate` and `demo` use it."""
        remote = self.switch("SIDECAR_ALLOW_REMOTE")

        def parse(text: str) -> ListenAddress:
            if "," in text or text.startswith("unix:"):
                raise ValueError(f"{text!r} is not one HOST:PORT, such as {DEFAULTS[SIMULATOR_LISTEN]}")
            return listen_address(text, remote=remote)

        return self.parsed(SIMULATOR_LISTEN, parse, ListenAddress(host=""))

    def _allowed_hosts(self, upstream: UpstreamUrl | None) -> frozenset[bytes]:
        names = _listed(self._text("SIDECAR_ALLOWED_HOSTS"))
        for name in names:
            if not is_host(_without_port(name)):
                self._problem("SIDECAR_ALLOWED_HOSTS", f"{name!r} is no host name; write a, b.example, [::1]")
        if names:
            return frozenset(_without_port(name).encode("ascii", "replace") for name in names)
        own = set() if upstream is None else {upstream.host.lower().removesuffix(".").encode()}
        return LOOPBACK_HOSTS | own | {SEED_HOST}

    def _allowed_origins(self) -> frozenset[bytes]:
        origins = _listed(self._text("SIDECAR_ALLOWED_ORIGINS"))
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                self._problem(
                    "SIDECAR_ALLOWED_ORIGINS", f"{origin!r} is no origin; write scheme://host[:port], without a path"
                )
        return frozenset(origin.lower().encode("ascii", "replace") for origin in origins)

    def _token_store(self) -> Secret | None:
        text = self._text("SIDECAR_TOKEN_STORE")
        if text and not _is_redis(text):
            self._problem("SIDECAR_TOKEN_STORE", "is no redis:// address")
        elif text and (lack := lack_of("redis")):
            self._problem("SIDECAR_TOKEN_STORE", lack)
        return Secret(text) if text else None

    def _inspect(self) -> bool:
        inspect = self.switch("SIDECAR_INSPECT")
        if inspect and (lack := lack_of("inspector")):
            self._problem("SIDECAR_INSPECT", lack)
        return inspect

    def _refuse_odd_listeners(
        self, upstream: UpstreamUrl | None, listen: tuple[ListenAddress, ...], admin: ListenAddress | None
    ) -> None:
        """An address twice, and the sidecar as its own upstream."""
        taken: set[ListenAddress] = set()
        for name, address in [*(("SIDECAR_LISTEN", one) for one in listen), ("SIDECAR_ADMIN_LISTEN", admin)]:
            if address is None:
                continue
            if address in taken:
                self._problem(name, f"{address} is listened on already")
            if address.port or address.path:
                taken.add(address)
            if upstream is not None and _leads_to(upstream, address):
                self._problem(BASE_URL, f"points at the sidecar itself (port {address.port})")

    def _warnings(self) -> list[str]:
        odd = [*self.misspelt(), *self._odd]
        if not _UUID.fullmatch(self._text(USER_ID)):
            odd.append(f"{USER_ID} is not a UUID; BioT's service users have one as their id")
        return odd

    def misspelt(self) -> list[str]:
        """A warning for each name in the environment that is a setting's but for a slip.

        Unknown names are no more than odd: Kubernetes makes SIDECAR_ ones up for a service called sidecar, and BIOT_
        ones are BioT's own.
        """
        near = {name: self._near(name) for name in sorted(self._env) if name not in DEFAULTS and name not in OTHERS}
        return [f"{name} is no setting; did you mean {one}?" for name, one in near.items() if one]

    def _near(self, name: str) -> str | None:
        spelled = name.upper()
        if not spelled.startswith(("SIDECAR_", "BIOT_")):
            return None
        one = spelled if spelled in DEFAULTS else nearest(spelled, DEFAULTS, 0.8)
        return None if one is None or (one.startswith("BIOT_") and self._env.get(one)) else one


def _odd_secret(secret: Secret | None, file: str | None) -> list[str]:
    """A warning about the blanks, quotes or mark around a secret, as net.secret words it at each later read."""
    odd = ""
    with contextlib.suppress(UnreadableSecret):  # gone since it was found good
        odd = odd_about_secret(secret if secret is not None else read_secret(file or ""))
    return [f"{SECRET if secret is not None else SECRET_FILE}: {odd}"] if odd else []


def _is_text(value: str) -> bool:
    """False for bytes of the environment that were no UTF-8 (PEP 383)."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _leads_to(upstream: UpstreamUrl, address: ListenAddress) -> bool:
    """True when a call of the upstream would arrive at `address`, as far as one can see."""
    if not address.port or address.port != upstream.port or not is_loopback(upstream.host.removesuffix(".")):
        return False
    if is_ip(upstream.host) and is_ip(address.host) and is_loopback(address.host):
        return upstream.host == address.host
    return True  # names, and every address


def listen_address(text: str, *, remote: bool) -> ListenAddress:
    """An address to listen at; beyond loopback only where that is allowed. Raises ValueError."""
    address = parse_address(text)
    if not (address.path or remote or is_loopback(address.host)):
        raise ValueError(
            f"{address.host!r} is not loopback: whoever reaches the port acts as the service user; "
            "use 127.0.0.1, or set SIDECAR_ALLOW_REMOTE=1"
        )
    return address


def _is_redis(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in {"redis", "rediss", "unix"} and (url.port is None or url.port > 0)
    except ValueError:  # a port that is none
        return False


def _optional_address(text: str) -> ListenAddress | None:
    if "," in text:
        raise ValueError(f"{text!r} is more than one address")
    return parse_address(text)


def _listed(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _without_port(name: str) -> str:
    host, colon, port = name.rpartition(":")
    if colon and port.isdigit() and (not host.count(":") or host.endswith("]")):
        name = host
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    return name.lower().removesuffix(".")
