"""The mark of tests that share one program and one event loop for a module."""

import pytest

LIVE = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(240)]
