"""The service user's access token: as calls use it, as BioT issued it, as it is asked for."""

from __future__ import annotations


class Token:
    """A service user's access token.

    `obtained` and `expires` are seconds of the elapsed clock (policy.elapsed), which nobody can set. `serial` tells
    tokens of one process apart without naming their text. `authorization` is the ready field value, ``Bearer <jwt>``.
    """

    __slots__ = ("authorization", "expires", "obtained", "serial")

    def __init__(self, jwt: str, obtained: float, expires: float, serial: int) -> None:
        self.authorization = b"Bearer " + jwt.encode("ascii")
        self.obtained = obtained
        self.expires = expires
        self.serial = serial

    def __repr__(self) -> str:
        return f"Token(serial={self.serial}, obtained={self.obtained}, expires={self.expires})"
