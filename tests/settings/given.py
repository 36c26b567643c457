"""Settings as tests give them: the fewest that are enough, and one or two more."""

from __future__ import annotations

import pytest
from biot_sidecar.errors import BadSettings
from biot_sidecar.settings import Settings, load

USER = "6f1c7e0a-8a44-4b0a-9c2e-0d9a5d2f4b11"
SECRET = "canary-secret-9d41c0"
ENOUGH = {"BIOT_BASE_URL": "https://api.example", "BIOT_SERVICE_USER_ID": USER, "BIOT_SERVICE_USER_SECRET_KEY": SECRET}


def environment(**more: str | None) -> dict[str, str]:
    """Enough, and more; None takes one away."""
    return {name: value for name, value in {**ENOUGH, **more}.items() if value is not None}


def settings(**more: str | None) -> Settings:
    return load(environment(**more), {})


def problems(**more: str | None) -> list[str]:
    """What is wrong with these settings; something must be, and the secret is never quoted."""
    with pytest.raises(BadSettings) as caught:
        settings(**more)
    assert SECRET not in str(caught.value.problems)
    return caught.value.problems


def problem(**more: str | None) -> str:
    """The one thing that is wrong."""
    (only,) = problems(**more)
    return only
