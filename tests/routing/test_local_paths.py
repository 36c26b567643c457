"""Paths that the sidecar answers itself, in any spelling."""

from __future__ import annotations

import pytest
from biot_sidecar.routing.local_paths import local_path


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/metrics", b"/metrics"),
        (b"/metrics/", b"/metrics"),
        (b"/healthz?x", b"/healthz"),
        (b"//readyz", b"/readyz"),
        (b"/%6detrics", b"/metrics"),
        (b"/_sidecar", b"/_sidecar"),
        (b"/_sidecar/", b"/_sidecar"),
        (b"/_sidecar/status?a=b", b"/_sidecar/status"),
        (b"/%5Fsidecar/status", b"/_sidecar/status"),
        (b"/_sidecar%2Fstatus", b"/_sidecar/status"),
        (b"/%2F_sidecar/status", b"/_sidecar/status"),
        (b"/_sidecar//x", b"/_sidecar/x"),
    ],
)
def test_a_path_of_ours_is_known_in_any_spelling(target, path):
    assert local_path(target) == path


@pytest.mark.parametrize(
    "target", [b"/", b"/a", b"/metricsx", b"/metrics/a", b"/_sidecars", b"/a?/_sidecar", b"*", b"/M"]
)
def test_any_other_path_is_forwarded(target):
    assert local_path(target) is None
