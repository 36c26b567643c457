"""The release workflow: pinned, with no more rights than it needs, for the versions and systems that are promised."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import release
from tests.deploy import engine
from tests.deploy.programs import DEPLOY, ROOT
from tests.support import wants

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
RELEASE = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
JOBS: dict[str, Any] = RELEASE["jobs"]
CI = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
BUILD = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["cibuildwheel"]
GUIDE = (ROOT / "RELEASING.md").read_text()
each_workflow = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)


@each_workflow
def test_every_action_is_pinned_by_a_whole_commit_and_says_which_release_that_is(workflow: Path) -> None:
    used = re.findall(r"uses: (.*)", workflow.read_text())
    assert used
    assert [one for one in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one)] == []


def test_no_action_is_pinned_in_two_ways() -> None:
    pins: dict[str, set[str]] = {}
    for workflow in WORKFLOWS:
        for name, pin in re.findall(r"uses: (\S+)@(.*)", workflow.read_text()):
            pins.setdefault(name, set()).add(pin)
    assert {name: found for name, found in pins.items() if len(found) > 1} == {}


@pytest.mark.thorough
@each_workflow
def test_a_workflow_fits_its_schema(workflow: Path) -> None:
    check = [wants.program("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", workflow]
    checked = subprocess.run(check, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@each_workflow
def test_actionlint_finds_nothing(workflow: Path) -> None:
    linted = subprocess.run([wants.program("actionlint"), "-no-color", workflow], capture_output=True, text=True)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_a_job_has_the_rights_that_it_names_and_no_others() -> None:
    assert RELEASE["permissions"] == {}
    rights = {
        name: {right for right, how in job["permissions"].items() if how == "write"} for name, job in JOBS.items()
    }
    assert rights == {
        "check": set(),
        "pure": set(),
        "compiled": set(),
        "image-part": {"packages"},
        "image": {"attestations", "id-token", "packages"},
        "provenance": {"attestations", "id-token"},
        "pypi": {"id-token"},
        "github": {"contents"},
    }


def test_nothing_is_published_before_everything_is_checked_and_made() -> None:
    def before(name: str) -> set[str]:
        needs = JOBS[name].get("needs", [])
        named = {needs} if isinstance(needs, str) else set(needs)
        return named.union(*(before(one) for one in named))

    assert before("pypi") == {"check", "pure", "compiled", "image-part", "image", "provenance"}
    assert before("github") == {*before("pypi"), "pypi"}
    assert all("check" in before(name) for name in JOBS if name != "check")


def test_what_is_tried_before_a_release_are_targets_that_there_are() -> None:
    steps = " ".join(step.get("run", "") for job in JOBS.values() for step in job["steps"])
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z-]+)", steps))
    assert named <= targets
    assert named >= {"check", "test", "audit", "test-docker", "wheel"}
    told = {word for line in re.findall(r"`(?:\w+=1 )?make ([^`]*)`", GUIDE) for word in re.findall(r"[a-z-]+", line)}
    assert told - {"sha", "sum", "dist", "whl"} <= targets


def test_compiled_wheels_are_made_for_every_python_that_is_promised_with_the_locked_tools() -> None:
    pythons = CI["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert BUILD["build"] == [f"cp{version.replace('.', '')}-*" for version in pythons]
    assert BUILD["environment"] == {"BIOT_SIDECAR_COMPILED": "1"}
    assert "--no-isolation" in BUILD["build-frontend"]["args"]
    for lock in re.findall(r"-r \{package\}/(\S+)", BUILD["before-build"]):
        assert (ROOT / lock).exists()
    assert "--require-hashes" in BUILD["before-build"]


def test_whether_a_wheel_is_compiled_is_told_by_where_its_path_lies() -> None:
    ran = subprocess.run([sys.executable, "-P", DEPLOY / "is_compiled.py"], capture_output=True, text=True)
    assert ran.returncode == int(ran.stdout.strip().endswith(".py"))


def test_wheels_and_images_are_made_for_the_systems_that_the_guide_names() -> None:
    assert set(JOBS["compiled"]["strategy"]["matrix"]["os"]) == {
        "ubuntu-24.04",
        "ubuntu-24.04-arm",
        "macos-15",
        "macos-15-intel",
    }
    platforms = [one["platform"] for one in JOBS["image-part"]["strategy"]["matrix"]["include"]]
    assert all(platform in GUIDE for platform in platforms)


def test_the_image_is_told_where_it_comes_from() -> None:
    (build,) = [step["with"] for step in JOBS["image-part"]["steps"] if "build-push" in step.get("uses", "")]
    given = set(re.findall(r"^(\w+)=", build["build-args"], re.MULTILINE))
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert given == set(re.findall(r"^ARG (\w+)=", dockerfile, re.MULTILINE)) - {"BASE"}
    assert 'org.opencontainers.image.source="${SOURCE}"' in dockerfile
    assert re.search(r"^ARG BASE=\S+@sha256:[0-9a-f]{64}$", dockerfile, re.MULTILINE)


# ---- the tag

LOG = "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-30\n\nA thing.\n\n## [1.2.2] - 2026-11-01\n\nAnother.\n"


def test_a_tag_of_this_version_with_a_dated_section_is_released_with_that_section_as_its_notes() -> None:
    assert release.problem("v1.2.3", "1.2.3", LOG) == ""
    assert release.notes("1.2.3", LOG) == "A thing."


@pytest.mark.parametrize(
    ("tag", "version", "log", "wrong"),
    [
        ("v1.2.4", "1.2.3", LOG, "the tag is v1.2.4, but this is version 1.2.3"),
        ("v1.2.4", "1.2.4", LOG, "CHANGELOG.md has no section `## [1.2.4] - DATE`"),
        ("v1.2.3", "1.2.3", LOG.replace(" - 2026-11-30", ""), "CHANGELOG.md has no section `## [1.2.3] - DATE`"),
        ("v1.2.3", "1.2.3", LOG.replace("A thing.", ""), "CHANGELOG.md says nothing of 1.2.3"),
    ],
)
def test_any_other_tag_is_refused_with_what_is_wrong(tag: str, version: str, log: str, wrong: str) -> None:
    assert release.problem(tag, version, log) == wrong


def test_this_tree_could_be_released(tmp_path: Path) -> None:
    from biot_sidecar import __version__

    assert release.main(f"v{__version__}", str(tmp_path / "notes.md")) == 0
    assert (tmp_path / "notes.md").read_text().strip()


# ---- the engine


def test_without_an_engine_it_is_said_in_words_what_one_wants(monkeypatch, capsys) -> None:
    monkeypatch.setattr(engine.shutil, "which", lambda name: None)
    assert engine.main({}) == 0
    assert engine.main({"ENGINE_REQUIRED": "1"}) == 1
    assert capsys.readouterr().out.startswith(
        "skipped: no Docker engine answers, and one of its own wants docker, dockerd"
    )
