"""What a client offers at the beginning of TLS: its ClientHello, taken apart (RFC 8446, section 4.1.2)."""

from __future__ import annotations

from dataclasses import dataclass

SESSION_TICKET, PRE_SHARED_KEY, SUPPORTED_GROUPS, KEY_SHARE, EARLY_DATA = 35, 41, 10, 51, 42
X25519, X25519_MLKEM768 = 0x001D, 0x11EC  # IANA's TLS Supported Groups


@dataclass(frozen=True)
class ClientHello:
    """Its extensions, by number."""

    extensions: dict[int, bytes]

    @property
    def groups(self) -> list[int]:
        """The groups that it speaks, the one it likes best first."""
        return _numbers(self.extensions[SUPPORTED_GROUPS][2:])

    @property
    def key_shares(self) -> list[int]:
        """The groups for which it sends its half of the key at once."""
        data, found = self.extensions[KEY_SHARE][2:], []
        while data:
            found.append(int.from_bytes(data[:2], "big"))
            data = data[4 + int.from_bytes(data[2:4], "big") :]
        return found

    @property
    def resumes(self) -> bool:
        """True if it offers the session of an earlier connection, by TLS 1.3's way or 1.2's."""
        return PRE_SHARED_KEY in self.extensions or bool(self.extensions.get(SESSION_TICKET))


def parse_client_hello(data: bytes) -> ClientHello | None:
    """The bytes with which a connection begins; None if there are too few yet."""
    message = b""
    while len(message) < 4 or len(message) < 4 + int.from_bytes(message[1:4], "big"):
        if len(data) < 5 or len(data) < 5 + int.from_bytes(data[3:5], "big"):
            return None
        assert data[0] == 22, data[:5]
        length = int.from_bytes(data[3:5], "big")
        message, data = message + data[5 : 5 + length], data[5 + length :]
    assert message[0] == 1, message[:4]
    rest = message[4 + 2 + 32 :]
    rest = rest[1 + rest[0] :]  # the legacy session id
    rest = rest[2 + int.from_bytes(rest[:2], "big") :]  # cipher suites
    rest = rest[1 + rest[0] :]  # compression
    rest, extensions = rest[2:], {}
    while rest:
        kind, length = int.from_bytes(rest[:2], "big"), int.from_bytes(rest[2:4], "big")
        extensions[kind], rest = rest[4 : 4 + length], rest[4 + length :]
    return ClientHello(extensions)


def _numbers(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]
