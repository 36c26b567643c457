"""`observe` in the running program: counted and logged, and nothing else."""

from __future__ import annotations

import json

import pytest

from tests.support.sidecar import running

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]
ROUTES = """\
version: 1
defaults: {unmatched: observe}
routes:
  - {name: keys, match: "* /keys/**", observe: not for plugins}
  - {name: never, match: "* /keys/never", deny: never}
  - {name: fine, match: "* /fine"}
"""


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_it_counts_and_logs_what_deny_would_refuse(tmp_path, workers):
    async with running(tmp_path, routes=ROUTES, SIDECAR_WORKERS=workers) as house:
        before = (await house.get("/metrics")).body.decode()
        assert 'biot_sidecar_would_deny_total{route="keys"} 0.0' in before
        assert 'biot_sidecar_would_deny_total{route="unmatched"} 0.0' in before
        statuses = [(await house.get(path)).status for path in ("/keys/1", "/KEYS/1", "/keys/never", "/fine", "/other")]
        assert statuses == [200, 200, 403, 200, 200]
        after = (await house.get("/metrics")).body.decode()
        assert 'biot_sidecar_would_deny_total{route="keys"} 3.0' in after
        assert 'biot_sidecar_would_deny_total{route="unmatched"} 1.0' in after
        assert 'would_deny_total{route="fine"}' not in after
    told = [json.loads(line) for line in house.sidecar.log().splitlines()]
    reasons = [line.get("would_deny") for line in told if line["event"] == "request"]
    assert sorted(reason or "" for reason in reasons) == [
        "",
        "no route allows this request (unmatched: observe)",
        *["not for plugins"] * 3,
    ]
