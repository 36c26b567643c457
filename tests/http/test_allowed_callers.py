"""Who may call, given whose process it is."""

from __future__ import annotations

import pytest
from biot_sidecar.errors import ClientError, Code
from biot_sidecar.http.allowed_callers import HEALTH_PATHS, AllowedCallers, ambiguous_uid
from biot_sidecar.platform import UNKNOWN_UID
from hypothesis import given
from hypothesis import strategies as st

UIDS = st.integers(0, 3) | st.sampled_from([UNKNOWN_UID, 65534, 2**32 - 2])
PATHS = st.sampled_from([None, *sorted(HEALTH_PATHS), b"/_sidecar", b"/_sidecar/explain"])


def admits(callers: AllowedCallers, uid: int, path: bytes | None = None) -> bool:
    try:
        callers.admit(uid, path)
    except ClientError:
        return False
    return True


def test_a_refusal_has_a_name():
    with pytest.raises(ClientError) as refused:
        AllowedCallers(frozenset(), own=1, overflow=None).admit(1, None)
    assert (refused.value.code, refused.value.reason) == (Code.CALLER_REFUSED, "caller")


@given(st.frozensets(UIDS.filter(lambda uid: uid >= 0)), UIDS, PATHS)
def test_who_is_listed_may_call_and_nobody_else(listed, uid, path):
    callers = AllowedCallers(listed, own=2, overflow=None)
    assert admits(callers, uid, path) == (uid in listed or (uid == 2 and path in HEALTH_PATHS))


def test_root_has_no_privilege():
    assert not admits(AllowedCallers(frozenset({1000}), own=1000, overflow=None), 0, b"/healthz")


@given(st.frozensets(UIDS.filter(lambda uid: uid >= 0)), PATHS, st.sampled_from([2, 65534]))
def test_the_overflow_uid_is_nobodys_where_not_all_are_mapped(listed, path, own):
    assert not admits(AllowedCallers(listed, own=own, overflow=65534), 65534, path)


def test_an_unknown_caller_is_nobody():
    assert not admits(AllowedCallers(frozenset({0, 1, 65534}), own=65534, overflow=65534), UNKNOWN_UID, b"/healthz")


@pytest.mark.parametrize(
    ("uid_map", "overflow"),
    [
        ("         0          0 4294967295\n", None),
        ("         0     100000      65536\n", 65534),
        ("0 0 1000\n1000 5000 4294966295\n", None),
        ("0 1000 1\n", 65534),
        ("", 65534),
    ],
)
def test_a_uid_is_ambiguous_where_the_namespace_does_not_map_all(uid_map, overflow):
    assert ambiguous_uid(uid_map, "65534\n") == overflow
