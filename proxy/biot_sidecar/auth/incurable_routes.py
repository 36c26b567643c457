"""Marks the routes whose 401 no token cures: they must not cost a login per call, nor the other routes' token.

    401 about an old token ---> login, replay ---> anything else: cured
                                      |
                                     401 ---> the route is marked: for a pause its 401s pass through and drop no
                                              token; after it the next is judged anew. Pauses double.

A 401 about a young token is a rejection like the replay's, since BioT gave that token a moment ago; but one of them in
a pause is tried with another token, for it may really have been revoked. Where the body was not kept there is no
replay: the login that comes before the route's next call is the try then.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Final, Literal

from biot_sidecar.auth.token import Token
from biot_sidecar.routing.route import Verdict

RouteKey = tuple[bytes, str]
"""A method and a path's template; where the template stands for many, or there is none, the path without its ids."""
Judgement = Literal["pass", "drop", "replay"]
"""What becomes of a 401: passed through, and with the token dropped or not; or the call is sent again with another."""

YOUNG_SECONDS: Final = 10.0
"""Seconds of age below which a token that is rejected is no worse than another would be."""
FIRST_PAUSE_SECONDS: Final = 1.0
LONGEST_PAUSE_SECONDS: Final = 60.0
MANY_MARKS: Final = 7
SAME_TOKEN_SECONDS: Final = 600.0
"""Seconds for which, after so many marks in a row, a token that the route rejected when it was new is not replaced."""
ROUTES_LIMIT: Final = 256
_FINGERPRINT_BYTES: Final = 8


_ID: Final = re.compile(rb"(?<=/)(?!v\d{1,2}(?:/|$))(?:[^/]*\d[^/]*|[^/]{40,})")
_PATH_LIMIT_BYTES: Final = 512


def fingerprint(token: Token) -> bytes:
    """Tells tokens apart, in whatever process they are, without their text."""
    from hashlib import sha256  # loads OpenSSL, which a start over http need not; a 401 about the token is rare

    return sha256(token.authorization).digest()[:_FINGERPRINT_BYTES]


def route_key(method: bytes, target: bytes, verdict: Verdict | None) -> RouteKey:
    """What a 401 is judged by."""
    template = "" if verdict is None else verdict.template
    if template and "**" not in template:
        return method, template
    path = target.partition(b"?")[0][:_PATH_LIMIT_BYTES]
    return method, _ID.sub(b"{id}", path).decode("latin-1")


class _Case:
    """One route's; moments of the elapsed clock, tokens by their fingerprints."""

    __slots__ = ("dropped", "drops", "marked", "marks", "rejected", "replaced", "tried", "until")

    def __init__(self) -> None:
        self.marks = 0  # in a row
        self.marked = -math.inf  # the last of them
        self.until = -math.inf  # when the pause is over
        self.rejected = b""  # the token that the last mark was about
        self.tried = -math.inf  # when another token was last tried
        self.replaced = b""  # the token that it was to replace
        self.drops = 0  # tokens dropped without a replay whose outcome is still unknown
        self.dropped = -math.inf  # the last of them


class _Vain:
    """Tries of another token that did not help a route, across the answers that cleared its mark."""

    __slots__ = ("last", "token", "tries")

    def __init__(self, tries: int, token: bytes, last: float) -> None:
        self.tries = tries
        self.token = token  # the last one tried
        self.last = last  # when

    def settles(self, token: bytes, now: float) -> bool:
        """True if nothing else than last time is to be expected of replacing this token."""
        pause = SAME_TOKEN_SECONDS if self.tries >= MANY_MARKS else _pause(self.tries)
        return self.tries > 1 and token == self.token and now < self.last + pause


class IncurableRoutes:
    """Judges the 401s about a token; `clock` is an elapsed clock (elapsed_clock)."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.cases: dict[RouteKey, _Case] = {}
        self._vain: dict[RouteKey, _Vain] = {}

    def judge(self, route: RouteKey, token: bytes, age: float, *, replayed: bool, replayable: bool) -> Judgement:
        """BioT rejected a token of this fingerprint, `age` seconds old; `replayed`: the call's first one before it."""
        now = self._clock()
        vain = self._vain.get(route)
        if vain is not None and vain.settles(token, now):
            return "pass"
        case = self._case(route)
        if now < case.until:
            return "pass"
        young = age < YOUNG_SECONDS
        if replayed and not young:  # others had obtained it, and shared it
            return "pass" if token == case.rejected else "drop"
        tried = young and _tried_in_pause(case, token, now) if replayable else _tried_since_drop(case, token, now)
        if replayed or tried:
            return _mark(case, token, now)
        if case.marks >= MANY_MARKS and token == case.rejected and now < case.marked + SAME_TOKEN_SECONDS:
            return "pass"
        case.replaced = token
        if replayable:
            case.tried = now
            return "replay"
        case.dropped = now
        case.drops += 1
        return "drop"

    def accepted(self, route: RouteKey) -> None:
        """BioT answered the route with something else than 401: its next one is judged as if it were the first."""
        case = self.cases.pop(route, None)
        if case is None or not case.marks:
            return
        before = self._vain.pop(route, None)
        known = before.tries if before is not None and case.marked < before.last + SAME_TOKEN_SECONDS else 0
        _make_room(self._vain)
        self._vain[route] = _Vain(known + case.marks, case.rejected, case.marked)

    def _case(self, route: RouteKey) -> _Case:
        case = self.cases.get(route)
        if case is None:
            _make_room(self.cases)
            case = self.cases[route] = _Case()
        return case


def _make_room(routes: dict[RouteKey, Any]) -> None:
    """Forget the oldest of too many."""
    if len(routes) >= ROUTES_LIMIT:
        del routes[next(iter(routes))]


def _tried_since_drop(case: _Case, token: bytes, now: float) -> bool:
    """True for a token that was obtained because this route had rejected the one before."""
    if not case.drops or token == case.replaced or now >= case.dropped + LONGEST_PAUSE_SECONDS:
        return False
    # Two in the first second may be two tokens that were revoked; no more.
    return case.drops > 1 or case.marks > 0 or now >= case.dropped + FIRST_PAUSE_SECONDS


def _tried_in_pause(case: _Case, token: bytes, now: float) -> bool:
    """True if another token has been tried in this pause; the one that it replaced may still be under way."""
    return token != case.replaced and now < case.tried + _pause(case.marks)


def _mark(case: _Case, token: bytes, now: float) -> Judgement:
    case.marks += 1
    case.marked, case.until = now, now + _pause(case.marks)
    case.rejected, case.drops = token, 0
    return "pass"


def _pause(marks: int) -> float:
    """Seconds; doubled with each mark in a row."""
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(max(marks - 1, 0), 10))
