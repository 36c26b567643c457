"""The interface of whatever gets a token: a login at BioT, the parent process, or the sidecars that share one."""

from __future__ import annotations

from typing import Protocol

from biot_sidecar.auth.issued_token import IssuedToken, TokenRequest
from biot_sidecar.auth.login_failure import LoginFailure
from biot_sidecar.settings.secret import Secret


class TokenProvider(Protocol):
    """Implemented by LoginClient, FleetLogin and TokenBrokerClient."""

    async def obtain(self, secret: Secret, request: TokenRequest) -> IssuedToken | LoginFailure:
        """One token or one failure. Failures are values here, so that no traceback ever holds the secret."""
