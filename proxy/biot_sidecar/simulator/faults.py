"""Faults to rehearse: which requests fail, how, and how often.

A faults file is YAML (the control endpoint takes the same as JSON):

    faults:
      - match: GET /organization/v1/users/patients/**   # METHOD|METHOD PATH
        fault: status
        status: 503
        retry_after: 2        # seconds, optional: a Retry-After field
        after: 1              # let the first one pass (default 0)
        count: 3              # then fail three times (default: every time)
      - {fault: service_locked, count: 1}
      - {match: "* /device/**", fault: slow, delay: 1.5s}

`match` is that of a route (routing.pattern); besides, `*` is one segment as `{x}` is.

The faults:

    token_not_valid  401 TOKEN_NOT_VALID
    login_failed     403 LOGIN_FAILED; without `match`, of the service-user login
    service_locked   401 SERVICE_LOCKED; without `match`, of the service-user login
    slow             wait `delay` (default 2s), then answer as usual
    reset            close the connection with a TCP reset, without an answer
    half_answer      announce a longer body than is sent, then close
    bad_json         200 with JSON that breaks off
    status           answer `status` (400 to 599) in BioT's error shape, with `retry_after` if given

The first rule that matches and still has something left decides. Of /_simulator/ only the echo can fail.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from urllib.parse import unquote_to_bytes

from biot_sidecar.durations import parse_duration
from biot_sidecar.routing.pattern import BadPattern, Pattern, parse_pattern
from biot_sidecar.simulator.values import Json
from biot_sidecar.suggest import suggest

LARGEST = 1024 * 1024
"""Bytes of a faults file."""
LOGIN = "POST /ums/v2/services/accessToken"
KINDS = (
    "token_not_valid", "login_failed", "service_locked", "slow", "reset", "half_answer", "bad_json", "status",
)  # fmt: skip
_DEFAULT_MATCH = {"login_failed": LOGIN, "service_locked": LOGIN}
_KEYS = ("match", "fault", "count", "after", "status", "retry_after", "delay")
_ONE_SEGMENT = re.compile(r"(?<=/)\*(?=/|$)")


class BadFaults(ValueError):
    """Faults that cannot be read; the text is for users."""


@dataclass(frozen=True)
class Fault:
    """One rule. `delay` and `retry_after` are seconds; `count` None is every time; `after` are let pass first."""

    match: str
    kind: str
    count: int | None = None
    after: int = 0
    status: int = 0
    retry_after: int | None = None
    delay: float = 0.0

    def matches(self, method: str, path: str) -> bool:
        segments = tuple(unquote_to_bytes(segment) for segment in path.split("/") if segment)
        return _pattern(self.match).covers(method, segments)


class FaultBook:
    """The rules in force and what is left of them."""

    def __init__(self, faults: tuple[Fault, ...] = ()) -> None:
        self.replace(faults)

    def replace(self, faults: tuple[Fault, ...]) -> None:
        self._faults = list(faults)
        self._hits = [0] * len(faults)

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that this request meets, if any; uses it up."""
        for index, fault in enumerate(self._faults):
            if not fault.matches(method, path):
                continue
            if fault.after:
                self._faults[index] = replace(fault, after=fault.after - 1)
            elif fault.count is None or fault.count > 0:
                self._hits[index] += 1
                self._faults[index] = replace(fault, count=None if fault.count is None else fault.count - 1)
                return fault
        return None

    def state(self) -> list[Json]:
        """The rules with how often each has hit and how much is left (None: no end)."""
        pairs = zip(self._faults, self._hits, strict=True)
        return [
            {"match": fault.match, "fault": fault.kind, "hits": hits, "left": fault.count, "passing": fault.after}
            for fault, hits in pairs
        ]


def read(text: str) -> tuple[Fault, ...]:
    """The faults of a YAML (or JSON) text; raises BadFaults that says where and what is wrong."""
    import yaml  # 15 ms of a start, and most have no faults file

    try:
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        # The parser's words may quote the text, which is perhaps no faults file but the secret's.
        why = f": {error.problem}" if "faults:" in text else ""
        raise BadFaults(f"line {line}: this is not YAML{why}") from None
    except (yaml.YAMLError, ValueError):  # ValueError: a date such as 2026-99-99, a number of 5,000 digits
        raise BadFaults("this is not YAML") from None
    except RecursionError:
        raise BadFaults("this is nested too deep") from None
    return from_document(document)


def from_document(document: Any) -> tuple[Fault, ...]:
    """The faults of a parsed document, `{"faults": [...]}`; raises BadFaults."""
    rules = document.get("faults") if isinstance(document, dict) else None
    if not isinstance(rules, list):
        raise BadFaults("there must be a list named `faults`")
    for key in document:
        if key != "faults":
            raise BadFaults(f"unknown key `{key}`; there is only `faults`")
    return tuple(_fault(number, rule) for number, rule in enumerate(rules, 1))


def _fault(number: int, rule: Any) -> Fault:
    try:
        return _checked(rule)
    except ValueError as error:
        raise BadFaults(f"fault {number}: {error}") from None


def _checked(rule: Any) -> Fault:
    if not isinstance(rule, dict):
        raise BadFaults("it must be a mapping with `match` and `fault`")
    for key in rule:
        if key not in _KEYS:
            raise BadFaults(f"unknown key `{key}`{_suggestion(str(key), _KEYS)}")
    kind = rule.get("fault")
    if kind not in KINDS:
        raise BadFaults(f"unknown fault `{kind}`{_suggestion(str(kind), KINDS)}; there are {', '.join(KINDS)}")
    match = rule.get("match", _DEFAULT_MATCH.get(kind))
    match = _checked_match(match)
    _check_only_where_used(kind, rule)
    return Fault(
        match=match,
        kind=kind,
        count=_number(rule, "count", None, least=1),
        after=_number(rule, "after", 0) or 0,
        status=_status(rule) if kind == "status" else 0,
        retry_after=_number(rule, "retry_after", None),
        delay=_delay(rule.get("delay", 2)) if kind == "slow" else 0.0,
    )


def _checked_match(match: Any) -> str:
    try:
        text = match if isinstance(match, str) else ""
        _pattern(text)
        return text
    except BadPattern as error:
        raise BadFaults(f"`match` must be like `GET|PUT /file/v1/**` or `* /**`: {error}") from None


def _check_only_where_used(kind: str, rule: Json) -> None:
    for key, owner in (("status", "status"), ("retry_after", "status"), ("delay", "slow")):
        if key in rule and kind != owner:
            raise BadFaults(f"`{key}` belongs to the fault `{owner}`, not to `{kind}`")


def _status(rule: Json) -> int:
    status = _number(rule, "status", None)
    if status is None or not 400 <= status <= 599:
        raise BadFaults("the fault `status` needs a `status` from 400 to 599")
    return status


def _number(rule: Json, key: str, default: int | None, least: int = 0) -> int | None:
    value = rule.get(key, default)
    if value is not default and (not isinstance(value, int) or isinstance(value, bool) or value < least):
        raise BadFaults(f"`{key}` must be a whole number of at least {least}")
    return value


def _delay(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < float("inf"):
        return float(value)
    return parse_duration(str(value).strip())


def _suggestion(word: str, known: tuple[str, ...]) -> str:
    close = suggest(word, known)
    return f", did you mean `{close}`?" if close else ""


@cache
def _pattern(match: str) -> Pattern:
    """A fault's `match` is a route's, but for `*`, which is one segment here as `{x}` is. Raises BadPattern."""
    return parse_pattern(_ONE_SEGMENT.sub("{any}", match))
