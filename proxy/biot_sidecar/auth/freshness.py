"""Is a token good enough? By the elapsed clock throughout (policy.elapsed): a sleep counts, a clock set back does not.

age    0 ............... 3/4 of its life ............ 10 % (at most 60 s) left ... expiry
       used as it is     used, renewed meanwhile      never sent: the call waits for a new one
       at the start of a string of calls it may be no older than FRESH_FOR, else the call waits as well
"""

from __future__ import annotations

from typing import Final

from biot_sidecar.auth.token import Token

RENEW_AT: Final = 0.75
RENEW_SPREAD: Final = 0.1
LEAST_SHARE: Final = 0.1
LEAST_SECONDS: Final = 60.0


def usable(token: Token | None, now: float) -> bool:
    """True while the token may be sent at all."""
    return token is not None and now < token.expires - least_left(token)


def least_left(token: Token) -> float:
    """Seconds of life below which a token is not sent: a tenth of its life, at most 60."""
    return min(LEAST_SECONDS, LEAST_SHARE * (token.expires - token.obtained))


def renewal_time(token: Token, jitter: float) -> float:
    """From when on calls go on with it while a new one is fetched; `jitter` in [0, 1) spreads a fleet's logins out."""
    return token.obtained + (token.expires - token.obtained) * (RENEW_AT + RENEW_SPREAD * jitter)


def too_old_to_start(token: Token, now: float, fresh_for: float) -> bool:
    """True when a new string of calls must not start with it; a token of the future is no young one."""
    return not 0 <= now - token.obtained <= fresh_for


def new_string(last_call: float | None, now: float, gap: float) -> bool:
    """True when a silence of `gap` seconds, or the process's start, lies between `last_call`'s end and `now`."""
    return last_call is None or now - last_call >= gap
