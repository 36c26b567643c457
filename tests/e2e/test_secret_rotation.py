"""A sidecar that rotates its secret by itself, and what it says where it may not: the program and the simulator."""

from __future__ import annotations

import signal
import stat
import time
from pathlib import Path

import pytest
from biot_sidecar.timestamps import iso

from tests.cli.processes import running
from tests.cli.support import ran
from tests.deploy.programs import SECRET, USER, call, simulator
from tests.support.form import SYSTEM

pytestmark = pytest.mark.e2e
DAY = 86_400.0


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "secret" / "key"
    path.parent.mkdir()
    path.write_text(SECRET)
    path.chmod(0o640)
    return path


@pytest.fixture
def biot(tmp_path):
    with simulator(tmp_path) as url:
        yield url


def settings(url: str, file: Path, **more: str) -> dict[str, str]:
    return {
        "BIOT_BASE_URL": url,
        "BIOT_SERVICE_USER_ID": USER,
        "BIOT_SERVICE_USER_SECRET_KEY_FILE": str(file),
        "SIDECAR_LISTEN": "127.0.0.1:0",
        "SIDECAR_ROTATE_SECRET_BEFORE": "7d",
        **more,
    }


def ends_in(url: str, days: float, **more: object) -> None:
    call("PUT", f"{url}/_simulator/secret-keys", {"expirationTime": iso(time.time() + days * DAY), **more})


def keys(url: str) -> list[str]:
    return [key["id"] for key in call("GET", f"{url}/_simulator/secret-keys")["secretKeys"]]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_key_near_its_end_is_replaced_once_and_calls_go_on(tmp_path, biot, file, workers):
    ends_in(biot, 3, life=90 * DAY)
    (old,) = keys(biot)
    env = settings(biot, file, SIDECAR_WORKERS=workers)
    with running(tmp_path, "serve", **env) as program:
        url = "http://" + program.line().split()[3]
        program.until_logged("is deleted by a run after")
        assert file.read_text() != SECRET
        assert SYSTEM == "windows" or stat.S_IMODE(file.stat().st_mode) == 0o640
        assert call("GET", f"{url}/organization/v1/users/patients")["data"]
        call("DELETE", f"{biot}/_simulator/tokens")
        assert call("GET", f"{url}/organization/v1/users/patients")["data"]  # after a login with the new secret
        assert (len(keys(biot)), keys(biot)[0]) == (2, old)
        assert sorted(path.name for path in file.parent.iterdir()) == ["key", "key.id", "key.old-id"]
        program.send(signal.SIGTERM)
        assert program.ended() == 0
        log = program.log()  # whole, once it has stopped
        assert SECRET not in log
        assert file.read_text() not in log
        assert log.count("BioT made the secret key") == 1


def test_a_key_far_from_its_end_stays(tmp_path, biot, file):
    ends_in(biot, 8)
    with running(tmp_path, "serve", **settings(biot, file)) as program:
        program.line()
        program.until_logged("one of" if len(keys(biot)) > 1 else "the secret key ends at")
    assert file.read_text() == SECRET


def test_what_it_may_not_do_is_said_and_calls_go_on(tmp_path, biot, file):
    ends_in(biot, 3, max=1)
    with running(tmp_path, "serve", **settings(biot, file)) as program:
        url = "http://" + program.line().split()[3]
        program.until_logged("as many secret keys as it may have already")
        assert "tried again each hour" in program.log()
        assert call("GET", f"{url}/organization/v1/users/patients")["data"]
    assert file.read_text() == SECRET


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"BIOT_SERVICE_USER_SECRET_KEY": "x", "BIOT_SERVICE_USER_SECRET_KEY_FILE": ""}, "only a secret in a file"),
        ({"SIDECAR_SECRET_KEY_CHECK": "0"}, "needs SIDECAR_SECRET_KEY_CHECK=1"),
        ({"AWS_LAMBDA_FUNCTION_NAME": "f"}, "is off on Lambda"),
        ({"SIDECAR_ROTATE_SECRET_BEFORE": "soon"}, "is no duration"),
        ({"SIDECAR_ROTATE_SECRET_BEFORE": "400d"}, "no duration of 0d to 365d"),
    ],
)
def test_what_cannot_rotate_is_refused_at_start(capsys, file, change, reason):
    refused = ran(capsys, "serve", **settings("http://127.0.0.1:9", file, **change))
    assert refused.status == 1
    (line,) = [line for line in refused.err if "SIDECAR_ROTATE_SECRET_BEFORE" in line]
    assert reason in line


def test_a_file_that_cannot_be_replaced_is_refused_at_start(capsys, file):
    link = file.parent / "link"
    link.symlink_to(file)
    refused = ran(capsys, "serve", **settings("http://127.0.0.1:9", link))
    assert (refused.status, refused.out) == (1, [])
    assert "cannot be replaced: it is a symbolic link" in refused.err[0]
