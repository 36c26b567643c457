"""What is made for every kind of process."""

from __future__ import annotations

import pytest
from biot_sidecar.process.factories import SystemRandom


@pytest.mark.parametrize("bits", [1, 7, 8, 9, 53, 64, 128])
def test_random_bits_are_as_many_as_asked_for_and_differ(bits):
    found = {SystemRandom().getrandbits(bits) for _ in range(200)}
    assert all(0 <= one < 1 << bits for one in found)
    assert len(found) >= min(2, 1 << bits)
    assert max(found).bit_length() >= bits - 6


def test_a_random_number_lies_from_0_to_below_1():
    found = [SystemRandom().random() for _ in range(200)]
    assert all(0.0 <= one < 1.0 for one in found)
    assert min(found) < 0.5 < max(found)
