"""Tells several observers of logins: the metrics and the log."""

from __future__ import annotations

from proxy.pipeline.ports import LoginObserver


class LoginObservers:
    """Implements pipeline.ports.LoginObserver by all of `observers`."""

    def __init__(self, *observers: LoginObserver) -> None:
        self._observers = observers

    def login_finished(self, outcome: str, reason: str, seconds: float, why: str = "") -> None:
        for observer in self._observers:
            observer.login_finished(outcome, reason, seconds, why)

    def event(self, level: str, event: str, message: str) -> None:
        for observer in self._observers:
            observer.event(level, event, message)

    def token_obtained(self, expires: float) -> None:
        for observer in self._observers:
            observer.token_obtained(expires)

    def blocked_until(self, moment: float) -> None:
        for observer in self._observers:
            observer.blocked_until(moment)
