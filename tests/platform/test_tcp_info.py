"""What Linux tells of a TCP connection (tcp(7): TCP_INFO), by bytes as the kernel gives them."""

from __future__ import annotations

import socket
import struct

import pytest

linux = pytest.importorskip("biot_sidecar.platform.linux")


class Told:
    """A socket whose kernel tells this much."""

    family = socket.AF_INET

    def __init__(self, retransmits: int, unacked: int, size: int = 216) -> None:
        self.info = struct.pack("=8B4II", 1, 0, retransmits, 0, 0, 0, 0, 0, 0, 0, 0, 0, unacked).ljust(216, b"\0")[
            :size
        ]

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        return self.info


@pytest.mark.parametrize(
    ("retransmits", "unacked", "size", "expected"),
    [
        pytest.param(1, 1, 216, True, id="sent again, in vain"),
        pytest.param(0, 1, 216, False, id="on its way, for all one knows"),
        pytest.param(1, 0, 216, False, id="arrived"),
        pytest.param(1, 1, 20, False, id="a kernel that does not tell"),
    ],
)
def test_what_is_not_acknowledged_counts_once_it_was_sent_again(retransmits, unacked, size, expected):
    assert linux.unacknowledged(Told(retransmits, unacked, size)) is expected
