"""Which routes file counts."""

from __future__ import annotations

from pathlib import Path

import pytest
from biot_sidecar.settings.routes_path import find_routes_file, warning_about

SHIPPED = Path(__file__).resolve().parents[2] / "config" / "routes.yaml"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_flag_counts_over_the_environment():
    assert find_routes_file({"SIDECAR_ROUTES": "/env.yaml"}, {"SIDECAR_ROUTES": "/flag.yaml"}) == "/flag.yaml"


def test_the_environment_counts_over_the_default(folder):
    (folder / "config").mkdir()
    (folder / "config" / "routes.yaml").touch()
    assert find_routes_file({"SIDECAR_ROUTES": " /env.yaml "}, {}) == "/env.yaml"


def test_the_default_lies_in_the_working_directory(folder):
    (folder / "config").mkdir()
    (folder / "config" / "routes.yaml").touch()
    assert find_routes_file({"SIDECAR_ROUTES": ""}, {}) == "config/routes.yaml"


def test_without_one_the_shipped_file_counts():
    assert find_routes_file({}, {}) == str(SHIPPED)


def test_the_shipped_file_is_warned_about_where_it_counts_for_want_of_another():
    assert str(SHIPPED) in warning_about({}, {})
    assert "SIDECAR_ROUTES: is not set" in warning_about({"SIDECAR_ROUTES": " "}, {})


@pytest.mark.parametrize(("env", "flags"), [(str(SHIPPED), ""), ("", str(SHIPPED)), ("other.yaml", "")])
def test_a_file_that_was_named_is_not_warned_about_even_if_it_is_the_shipped_one(env, flags):
    assert warning_about({"SIDECAR_ROUTES": env}, {"SIDECAR_ROUTES": flags}) == ""


def test_a_file_that_was_named_need_not_exist():
    assert find_routes_file({"SIDECAR_ROUTES": "config/routes.yaml"}, {}) == "config/routes.yaml"
