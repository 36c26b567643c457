"""`biot-sidecar init`: a routes file of one's own, never over one that is there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cli.support import ran
from tests.deploy.programs import ROOT


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_writes_the_routes_file_and_its_schema_and_they_are_in_force(capsys, folder):
    done = ran(capsys, "init")
    assert done == (0, ["config/routes.yaml is written", "config/routes.schema.json is written"], [])
    for name in ("routes.yaml", "routes.schema.json"):
        assert (folder / "config" / name).read_bytes() == (ROOT / "config" / name).read_bytes()
    checked = ran(capsys, "check")
    assert (checked.status, checked.out) == (0, ["config/routes.yaml: 3 routes, 4 tests pass"])


def test_what_is_there_stays_as_it_is(capsys, folder):
    (folder / "config").mkdir()
    (folder / "config" / "routes.yaml").write_text("mine")
    done = ran(capsys, "init")
    assert (done.status, done.out[0]) == (0, "config/routes.yaml is there already and stays as it is")
    assert (folder / "config" / "routes.yaml").read_text() == "mine"
    assert ran(capsys, "init").status == 1
    assert (folder / "config" / "routes.yaml").read_text() == "mine"


def test_it_writes_through_no_link_that_leads_nowhere(capsys, folder):
    (folder / "config").mkdir()
    (folder / "config" / "routes.yaml").symlink_to(folder / "elsewhere")
    assert "is there already" in ran(capsys, "init").out[0]
    assert not (folder / "elsewhere").exists()


def test_where_nothing_can_be_written_it_says_so(capsys, folder):
    (folder / "config").touch()
    done = ran(capsys, "init")
    assert done == (1, [], ["biot-sidecar: config/routes.yaml: cannot be written: config is no folder"])


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_to_is_named(capsys, folder):
    folder.chmod(0o555)
    assert ran(capsys, "init").err == ["biot-sidecar: config/routes.yaml: cannot be written: Permission denied"]


def test_another_file_that_counts_is_named(capsys):
    done = ran(capsys, "init", SIDECAR_ROUTES="/etc/routes.yaml")
    assert done.out[-1] == "SIDECAR_ROUTES is set, so /etc/routes.yaml is the routes file that counts"


@pytest.mark.parametrize("words", ["check", "explain GET /a"])
def test_without_a_file_of_ones_own_it_is_said_whose_is_in_force(capsys, words):
    done = ran(capsys, *words.split())
    assert f"force, {ROOT}/config/routes.yaml; write one of yours with: biot-sidecar init" in str(done)
    ran(capsys, "init")
    assert "biot-sidecar init" not in str(ran(capsys, *words.split()))
