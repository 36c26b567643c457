"""Is a token good enough? By the elapsed clock throughout (elapsed_clock): a sleep counts, a clock set back does not.

age    0 ............... 3/4 of its life ............ 10 % (at most 60 s) left ... expiry
       used as it is     used, renewed meanwhile      never sent: the call waits for a new one
       at the start of a string of calls it may be no older than FRESH_FOR, else the call waits as well
"""

from __future__ import annotations

from typing import Final

from biot_sidecar.auth.issued_token import IssuedToken, TokenRequest
from biot_sidecar.auth.token import Token, bearer

RENEW_AT_SHARE: Final = 0.75
RENEW_SPREAD_SHARE: Final = 0.1
LEAST_LEFT_SHARE: Final = 0.1
LEAST_LEFT_SECONDS: Final = 60.0


def usable(token: Token | None, now: float) -> bool:
    """True while the token may be sent at all."""
    return token is not None and now < token.expires - least_left(token.expires - token.obtained)


def least_left(life: float) -> float:
    """Seconds of a token's `life` below which it is not sent: a tenth of it, at most 60."""
    return min(LEAST_LEFT_SECONDS, LEAST_LEFT_SHARE * life)


def renewal_time(token: Token, jitter: float) -> float:
    """From when on calls go on with it while a new one is fetched; `jitter` in [0, 1) spreads a fleet's logins out."""
    return token.obtained + renewal_age(token.expires - token.obtained, jitter)


def renewal_age(life: float, jitter: float) -> float:
    """The age in seconds at which a token of such a `life` is renewed."""
    return life * (RENEW_AT_SHARE + RENEW_SPREAD_SHARE * jitter)


def too_old_to_start(token: Token, now: float, fresh_for: float) -> bool:
    """True when a new string of calls must not start with it; a token of the future is no young one."""
    return not 0 <= now - token.obtained <= fresh_for


def new_string(last_call_ended: float | None, now: float, gap: float) -> bool:
    """True when a silence of `gap` seconds, or the process's start, lies between `last_call_ended` and `now`."""
    return last_call_ended is None or now - last_call_ended >= gap


def satisfies(issued: IssuedToken, request: TokenRequest) -> bool:
    """True when a token that others use will do: young enough, not the last one, and not about to be renewed."""
    if issued.age >= request.younger_than or bearer(issued.jwt) == request.last:
        return False
    return issued.age < renewal_age(issued.life, 0.0)  # at which more is left than least_left(), whatever its life
