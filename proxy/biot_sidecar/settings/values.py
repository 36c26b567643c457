"""What the program is told, as frozen values."""

from __future__ import annotations

import msgspec

from biot_sidecar.settings.secret import Secret


class ListenAddress(msgspec.Struct, frozen=True):
    """Where to listen: `host` and `port` for TCP, or `path` for a unix socket (then `host` is empty)."""

    host: str
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        """The address as users write it."""
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class UpstreamUrl(msgspec.Struct, frozen=True):
    """The one upstream. `authority` is what its Host says; `prefix` the base URL's path, without a final slash."""

    tls: bool
    host: str
    port: int
    authority: bytes
    prefix: bytes
    ca_file: str | None = None  # trusted CAs instead of the system's
    extra_ca_file: str | None = None  # trusted beside them

    @property
    def url(self) -> str:
        """The base URL in its plain form."""
        return f"{'https' if self.tls else 'http'}://{(self.authority + self.prefix).decode('ascii')}"


class UpstreamProxy(msgspec.Struct, frozen=True):
    """The proxy on the way to the upstream. `source` is the setting that named it; `tls`: it is spoken to by TLS.

    `credentials` is the base64 of Basic's (RFC 7617).
    """

    tls: bool
    host: str
    port: int
    source: str
    credentials: Secret | None = None

    @property
    def address(self) -> str:
        """`HOST:PORT`, as people read it: no user, no password."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything `serve` needs. Durations are seconds."""

    upstream: UpstreamUrl
    service_user_id: str
    secret: Secret | None  # exactly one of secret, secret_file and secret_command is set
    secret_file: str | None
    secret_command: tuple[str, ...] | None
    listen: tuple[ListenAddress, ...]
    admin_listen: ListenAddress | None
    routes: str
    allowed_hosts: frozenset[bytes]
    allowed_origins: frozenset[bytes]
    allowed_uids: frozenset[int] | None  # None: any
    login_at_start: bool
    secret_key_check: bool
    string_gap: float
    fresh_for: float
    plugin_login: str  # local | forward | deny
    token_store: Secret | None  # a redis:// URL may carry a password
    max_in_flight: int
    timeout_most: float | None  # None: what the routes say
    drain_timeout: float
    workers: int
    loop_limit: int
    log_level: str  # debug | info | warning | error
    log_format: str  # json | text; empty: text on a terminal, else json
    inspect: bool
    events_fd: int | None = None  # where `lambda` tells of events
    rotate_before: float | None = None  # None: never by itself
    traces: bool = False  # to where OTEL_* say
    upstream_max_age: float = 0.0  # 0: no limit
    upstream_proxy: UpstreamProxy | None = None  # None: straight
    lambda_api: str = ""  # HOST:PORT of AWS Lambda's Extensions API; empty elsewhere
    warnings: tuple[str, ...] = ()  # what is odd but no error

    @property
    def via(self) -> str:
        """The proxy's `HOST:PORT`; empty without one."""
        return "" if self.upstream_proxy is None else self.upstream_proxy.address

    @property
    def admin_addresses(self) -> tuple[ListenAddress, ...]:
        """Where the admin listener listens: one address or none."""
        return () if self.admin_listen is None else (self.admin_listen,)
