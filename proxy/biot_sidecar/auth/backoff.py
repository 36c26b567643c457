"""When the next login may be tried after one that failed.

    what failed                         no login for                      ends early
    BioT rejects the user (`blocks`)    60 s, doubling up to 15 min       when the secret changes
    the secret cannot be read           1 s, doubling up to 60 s          when its file can be read
    anything else                       1 s, doubling up to 60 s
    any, with Retry-After               at least that, an hour at most

Pauses other than blocks are up to a quarter longer, at random, so that a fleet does not come back all at once. Moments
are seconds of the elapsed clock (elapsed_clock).

A back-off has one owner, which decides the pause and hands it on in the failure (LoginFailure.pause); whoever hears of
it there follows it and decides nothing: a worker follows its parent (process/token_broker), a sidecar that shares its
token follows the fleet where BioT rejected another one (auth/fleet_login). Where BioT rejected the sidecar itself, or
there was trouble on the way, the fleet's pause is only the least one: a store may forget, trouble may be one's own.
"""

from __future__ import annotations

from typing import Final

import msgspec

from biot_sidecar.auth.login_failure import SECRET_OUTCOME, LoginFailure

FIRST_BLOCK_SECONDS: Final = 60.0
LONGEST_BLOCK_SECONDS: Final = 15 * 60.0
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
LONGEST_RETRY_AFTER_SECONDS: Final = 3600.0
JITTER_SHARE: Final = 0.25


class LoginBackoff(msgspec.Struct, frozen=True):
    """No login before `until`, because of `failure`.

    `rejections` counts those of this secret since a login succeeded; `troubles` the other failures in a row.
    """

    until: float = 0.0
    rejections: int = 0
    troubles: int = 0
    failure: LoginFailure | None = None

    def paused(self, now: float) -> bool:
        """True while no login may start."""
        return now < self.until

    def blocked(self, now: float) -> bool:
        """True while paused because BioT rejected the user."""
        return self.failure is not None and self.failure.blocks and self.paused(now)

    @property
    def about_secret(self) -> bool:
        """True when another secret makes it a new case."""
        return self.failure is not None and (self.failure.blocks or self.lacks_secret)

    @property
    def lacks_secret(self) -> bool:
        """True when the secret could not be read."""
        return self.failure is not None and self.failure.outcome == SECRET_OUTCOME

    def after_failure(self, failure: LoginFailure, now: float, jitter: float) -> LoginBackoff:
        """The back-off after one more failure; `jitter` in [0, 1)."""
        rejections = self.rejections + failure.blocks
        troubles = 0 if failure.blocks else self.troubles + 1
        if failure.pause is not None:
            wait = failure.pause
        else:
            if failure.blocks:
                wait = _doubled(FIRST_BLOCK_SECONDS, rejections, LONGEST_BLOCK_SECONDS)
            else:
                wait = _doubled(FIRST_PAUSE_SECONDS, troubles, LONGEST_PAUSE_SECONDS) * (1 + JITTER_SHARE * jitter)
            wait = max(wait, min(failure.retry_after, LONGEST_RETRY_AFTER_SECONDS))
        return LoginBackoff(now + wait, rejections, troubles, failure)

    def after_new_secret(self) -> LoginBackoff:
        """The back-off when the secret has changed: a block is over, BioT's own trouble is not."""
        if self.about_secret:
            return LoginBackoff(troubles=self.troubles)
        return msgspec.structs.replace(self, rejections=0)

    def after_secret_came_back(self) -> LoginBackoff:
        """The back-off when a secret can be read again that may be the one of before: its rejections count on."""
        return LoginBackoff(rejections=self.rejections, troubles=self.troubles)

    def after_failure_in_fleet(self, failure: LoginFailure, now: float, jitter: float) -> LoginBackoff:
        """The fleet's back-off after one sidecar's failure: only rejections add up to longer pauses of all."""
        return LoginBackoff(rejections=self.rejections).after_failure(failure, now, jitter)

    def failure_to_follow(self, now: float) -> LoginFailure | None:
        """What the owner's back-off means for who follows it; None when a login may be tried."""
        if self.failure is None or not self.paused(now):
            return None
        left = self.until - now
        pause = left if self.failure.blocks else None
        return msgspec.structs.replace(self.failure, retry_after=left, pause=pause)


NO_BACKOFF: Final = LoginBackoff()


def _doubled(first: float, times: int, most: float) -> float:
    return min(most, first * 2.0 ** min(times - 1, 10))
