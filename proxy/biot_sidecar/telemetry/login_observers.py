"""Tells several observers of logins: the metrics and the log."""

from __future__ import annotations

from collections.abc import Callable

from biot_sidecar.http.interfaces import LoginObserver


class LoginObservers:
    """A LoginObserver that tells all of `observers`; `report` hears of one that raised.

    Logins go on whatever their observers make of them: an error in telling must not become an error of the call.
    """

    def __init__(self, *observers: LoginObserver, report: Callable[[BaseException], None] = lambda error: None) -> None:
        self._observers = observers
        self._report = report

    def _notify(self, notify: Callable[[LoginObserver], None]) -> None:
        for observer in self._observers:
            try:
                notify(observer)
            except Exception as error:
                self._report(error)

    def login_finished(self, outcome: str, reason: str, seconds: float, why: str = "") -> None:
        self._notify(lambda observer: observer.login_finished(outcome, reason, seconds, why))

    def event(self, level: str, event: str, message: str) -> None:
        self._notify(lambda observer: observer.event(level, event, message))

    def token_obtained(self, expires: float) -> None:
        self._notify(lambda observer: observer.token_obtained(expires))

    def clock_compared(self, offset: float) -> None:
        self._notify(lambda observer: observer.clock_compared(offset))

    def blocked_until(self, moment: float) -> None:
        self._notify(lambda observer: observer.blocked_until(moment))
