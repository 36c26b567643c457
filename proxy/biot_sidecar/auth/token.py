"""The service user's access token, as calls send it."""

from __future__ import annotations


class Token:
    """A token as calls of this process send it.

    `obtained` and `expires` are seconds of the elapsed clock (elapsed_clock), which nobody can set. `serial` tells
    tokens of one process apart without naming their text. `authorization` is the ready field value, ``Bearer <jwt>``.
    """

    __slots__ = ("authorization", "expires", "obtained", "serial")

    def __init__(self, jwt: str, obtained: float, expires: float, serial: int) -> None:
        self.authorization = bearer(jwt)
        self.obtained = obtained
        self.expires = expires
        self.serial = serial

    def __repr__(self) -> str:
        return f"Token(serial={self.serial}, obtained={self.obtained}, expires={self.expires})"


def bearer(jwt: str) -> bytes:
    """The value of the Authorization field (RFC 6750, section 2.1)."""
    return b"Bearer " + jwt.encode("ascii")
