"""Factories of the parts that several kinds of process are made of, on the real clock and the system's randomness."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from biot_sidecar import __version__
from biot_sidecar.auth.login_client import LoginClient
from biot_sidecar.auth.secret_source import ReadableSecret, SecretSource
from biot_sidecar.auth.token_provider import TokenProvider
from biot_sidecar.elapsed_clock import ElapsedClock
from biot_sidecar.http.ca_watcher import CaWatcher
from biot_sidecar.http.client import Fetcher
from biot_sidecar.http.deadlines import DeadlineTimer
from biot_sidecar.http.interfaces import LoginObserver
from biot_sidecar.http.time_limit import TimeLimit
from biot_sidecar.http.tls import tls_context
from biot_sidecar.http.upstream_pool import Pool
from biot_sidecar.platform import new_event_loop
from biot_sidecar.settings import Settings
from biot_sidecar.settings.secret import Secret
from biot_sidecar.telemetry.access_log import Log
from biot_sidecar.telemetry.metrics import Metrics
from biot_sidecar.telemetry.stderr import Stderr

if TYPE_CHECKING:
    from biot_sidecar.auth.secret_key_life import Look, SecretKeyWatch


class SystemRandom:
    """The system's randomness: a generator of our own would repeat itself in clones of a snapshot.

    As random.SystemRandom, whose module imports 1 % of a start for others.
    """

    def random(self) -> float:
        """Uniform, from 0 to below 1."""
        return self.getrandbits(53) * 2.0**-53

    def getrandbits(self, bits: int) -> int:
        count = (bits + 7) // 8
        return int.from_bytes(os.urandom(count), "big") >> (count * 8 - bits)


RANDOM: Final = SystemRandom()
BATCH_INTERVAL: Final = 0.1
"""Seconds for which finished requests, and lines of the log, are batched."""
PYTHON: Final = sys.version.partition(" ")[0]
USER_AGENT: Final = f"biot-sidecar/{__version__}".encode()


def make_metrics() -> Metrics:
    return Metrics(version=__version__, python=PYTHON, clock=time.monotonic)


def make_deadline_timer() -> DeadlineTimer:
    return DeadlineTimer(asyncio.get_running_loop(), time.monotonic)


def in_flight_limit(settings: Settings) -> int:
    """How many requests one process of the program forwards at a time: its part of SIDECAR_MAX_IN_FLIGHT."""
    return -(-settings.max_in_flight // settings.workers)


def make_pool(
    settings: Settings, connected: Callable[[bool], None], ended: Callable[[str], None] = lambda reason: None
) -> Pool:
    """Raises BadSettings for a CA file without certificates."""
    upstream, proxy = settings.upstream, settings.upstream_proxy
    proxy_tls = proxy is not None and proxy.tls
    over_tls = upstream.tls or proxy_tls
    context = tls_context(upstream.ca_file, upstream.extra_ca_file, late=True) if over_tls else None
    return Pool(
        upstream,
        context if upstream.tls else None,
        proxy=proxy,
        proxy_tls=context if proxy_tls else None,
        user_agent=USER_AGENT,
        max_age=settings.upstream_max_age,
        jitter=RANDOM.random,
        wall=time.time,
        clock=time.monotonic,
        cpu=time.thread_time,
        connected=connected,
        ended=ended,
        idle_most=in_flight_limit(settings),
    )


def make_time_limit(settings: Settings) -> TimeLimit | None:
    """What ends every call; none where there is no such limit, nor events that set one."""
    if settings.timeout_most is None and not settings.lambda_api:
        return None
    return TimeLimit(settings.timeout_most or float("inf"), time.monotonic)


def make_ca_watcher(settings: Settings) -> CaWatcher:
    """Who reads the CAs again; made before the pool that trusts them."""
    proxy = settings.upstream_proxy
    return CaWatcher(settings.upstream, used=settings.upstream.tls or (proxy is not None and proxy.tls))


async def close_upstream(pool: Pool, deadlines: DeadlineTimer) -> None:
    """Close the connections to BioT and the timer of their deadlines."""
    pool.close()
    deadlines.close()
    await asyncio.sleep(0)  # transports close in the loop's next round


def make_secret_source(
    settings: Settings, log: Log | None = None, noticed: Callable[[], None] = lambda: None
) -> ReadableSecret:
    """The secret of a process that logs in: the log is warned of what is odd about it.

    `noticed` hears that the command prints another secret than the one that BioT rejected.
    """

    def warn(warning: str) -> None:
        if log is not None:
            log.event("warning", "secret", warning)

    if settings.secret_command is None:
        return SecretSource(settings, warn, settings.warnings)
    from biot_sidecar.auth.secret_command import SecretCommand  # for those who have a command only
    from biot_sidecar.settings.secret_command_run import without_secrets

    env = without_secrets(os.environ)
    return SecretCommand(
        settings.secret_command, env, clock=time.monotonic, warn=warn, told=settings.warnings, noticed=noticed
    )


def make_clock() -> ElapsedClock:
    """Tells how much time has passed, whatever becomes of the wall clock."""
    return ElapsedClock(time.monotonic, time.time)


def make_fetcher(settings: Settings, pool: Pool, deadlines: DeadlineTimer) -> Fetcher:
    return Fetcher(pool, settings.upstream, deadlines, USER_AGENT)


def make_login(settings: Settings, fetch: Fetcher, observer: LoginObserver) -> LoginClient:
    return LoginClient(fetch, settings.service_user_id, wall=time.time, clock=make_clock(), observer=observer)


def make_token_provider(settings: Settings, fetch: Fetcher, observer: LoginObserver) -> TokenProvider:
    """How this program gets tokens: by logging in, or from others that share them. Raises BadSettings."""
    login = make_login(settings, fetch, observer)
    return login if settings.token_store is None else _make_fleet_login(login, settings.token_store, settings, observer)


def make_secret_key_watch(
    settings: Settings,
    fetch: Fetcher,
    in_hand: Callable[[], bytes | None],
    event: Callable[[str, str, str], None],
    found: Callable[[float | None, int], None],
) -> SecretKeyWatch:
    """`in_hand` gives the token's Authorization value. Raises BadSettings."""
    from biot_sidecar.auth.secret_key_life import KeyLife, SecretKeyWatch, Unknown, ask_key_life

    async def look(*, anew: bool = False) -> KeyLife | Unknown | None:
        authorization = in_hand()
        return None if authorization is None else await ask_key_life(fetch, authorization, time.time())

    shared: Look = look
    if settings.token_store is not None:
        from hashlib import sha256  # loads OpenSSL, which a start over http need not

        from biot_sidecar.auth.fleet_key_life import FleetKeyLife  # for those who share tokens only
        from biot_sidecar.auth.redis_store import TokenStore

        # A store that fails is told of where tokens are shared.
        store = TokenStore(settings.token_store, clock=time.monotonic, event=lambda level, kind, text: None)
        name = sha256(f"{settings.service_user_id} {settings.upstream.url}".encode()).hexdigest()[:32]
        shared = FleetKeyLife(look, lambda: in_hand() is not None, store, f"biot-sidecar:{{{name}}}:secret-key")
    watch = functools.partial(
        SecretKeyWatch, shared, wall=time.time, clock=make_clock(), sleep=asyncio.sleep, event=event, found=found
    )
    if settings.rotate_before is None:
        return watch()
    from biot_sidecar.process.secret_rotation import SecretRotator  # for those who rotate only

    return watch(rotate=SecretRotator(settings, fetch, in_hand, event, clock=make_clock()).step)


def _make_fleet_login(login: LoginClient, store: Secret, settings: Settings, observer: LoginObserver) -> TokenProvider:
    from biot_sidecar.auth.fleet_login import FleetLogin  # for those who share tokens only
    from biot_sidecar.auth.redis_store import TokenStore

    return FleetLogin(
        login,
        TokenStore(store, clock=time.monotonic, event=observer.event),
        user_id=settings.service_user_id,
        base_url=settings.upstream.url,
        wall=time.time,
        clock=make_clock(),
        jitter=RANDOM.random,
        random_bytes=os.urandom,
        sleep=asyncio.sleep,
    )


def after_batch_interval(call: Callable[[], None]) -> None:
    """Call it once what comes within BATCH_INTERVAL has come, on the running loop."""
    asyncio.get_running_loop().call_later(BATCH_INTERVAL, call)


def run_with_log(settings: Settings, main: Callable[[Log], Coroutine[Any, Any, int]]) -> int:
    """Run a serving process on a loop of its own, and write its log to the end; the exit status is `main`'s."""
    writer = Stderr(shared=settings.workers > 1)
    form = settings.log_format or ("text" if writer.terminal else "json")
    log = Log(level=settings.log_level, form=form, write=writer.write, wall=time.time)
    log.later = after_batch_interval
    log.lines_dropped = lambda: writer.lost
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(main(log))
    finally:
        log.flush()
        writer.close()


def bug_reporter(log: Log) -> Callable[[BaseException], None]:
    """Tells the log of a mistake of ours: its kind and place, never its text, which might hold what must not show.

    It never raises, even if the mistake is the log's own.
    """

    def report(error: BaseException) -> None:
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        where = "" if trace is None else f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
        with contextlib.suppress(Exception):
            log.event("error", "bug", f"{type(error).__name__} at {where}; please report it")

    return report


async def first_of(*parts: Awaitable[Any]) -> None:
    """Wait until one of them is done, and give up the others."""
    tasks = [asyncio.ensure_future(part) for part in parts]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
