"""What holds for every test."""

from __future__ import annotations

from hypothesis import settings

# A busy machine must not fail a test: no example has a deadline, the time limit per test is bound enough.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
