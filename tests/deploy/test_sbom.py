"""The lists of components are what the locks name, with the support of each; the audit heeds the VEX and no more."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from biot_sidecar.extras import MODULES

from deploy import audit, sbom
from tests.deploy.programs import DEPLOY, ROOT
from tests.deploy.test_supply_chain import shipped
from tests.deploy.test_supply_chain import wheel as wheel  # a fixture
from tests.support import wants

LISTS = {name: json.loads((DEPLOY / "sbom" / name).read_text()) for name in ("biot-sidecar.cdx.json", "image.cdx.json")}
each_list = pytest.mark.parametrize("name", LISTS)
NOT_PACKAGES = {"python", "debian"}


def components(name: str) -> dict[str, dict[str, Any]]:
    return {sbom.plain(one["name"]): one for one in LISTS[name]["components"]}


def support(component: dict[str, Any]) -> dict[str, str]:
    told = {one["name"]: one["value"] for one in component["properties"]}
    return {name.removeprefix(sbom.PROPERTY): value for name, value in told.items()}


@each_list
def test_a_list_names_what_ships_in_the_locked_versions(name: str) -> None:
    locked = sbom.locked("requirements.lock") | sbom.locked("requirements-compile.lock")
    found = {key: one["version"] for key, one in components(name).items() if key not in NOT_PACKAGES}
    assert found == {key: locked.get(key) for key in found}, "run `make sbom`"
    extras = sbom.image_extras() if name == "image.cdx.json" else MODULES
    assert shipped("biot-sidecar", *extras) - {"biot-sidecar"} | {"mypy"} == found.keys(), "run `make sbom`"


@each_list
def test_a_list_is_of_this_version_and_of_the_day_on_which_support_was_looked_up(name: str) -> None:
    metadata = LISTS[name]["metadata"]
    assert metadata["component"]["version"] == sbom.version(), "run `make sbom`"
    assert metadata["timestamp"].startswith(str(sbom.SUPPORT["reviewed"]))


@each_list
def test_each_component_has_a_level_of_support_and_its_end(name: str) -> None:
    for component, one in components(name).items():
        told = support(one)
        assert told["level"] in {"maintained", "finished", "abandoned"}, component
        assert told["end"] == "none announced" or re.fullmatch(r"20\d\d-\d\d-\d\d", told["end"]), component


def test_the_image_has_python_and_debian_beside_the_packages_and_both_are_those_of_its_base() -> None:
    assert components("image.cdx.json").keys() - components("biot-sidecar.cdx.json").keys() == NOT_PACKAGES
    assert "aiohttp" not in components("image.cdx.json")  # the simulator's
    python = components("image.cdx.json")["python"]["version"]
    assert f"python:{python}-slim-trixie@sha256:" in (ROOT / "Dockerfile").read_text()


def test_support_is_told_of_no_package_that_is_locked_no_more() -> None:
    locked = sbom.locked("requirements.lock") | sbom.locked("requirements-compile.lock")
    assert sbom.SUPPORT["packages"].keys() <= locked.keys()


def test_nothing_that_is_abandoned_runs_on_a_python_that_is_promised_but_where_it_is_said_why() -> None:
    abandoned = {name for name, one in sbom.SUPPORT["packages"].items() if one["level"] == "abandoned"}
    assert abandoned == {"async-timeout"}


def test_a_lists_bytes_depend_on_nothing_but_what_was_found() -> None:
    found = {
        "$schema": "s",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "serialNumber": "urn:uuid:1",
        "metadata": {"component": {"bom-ref": "root", "name": "biot-sidecar"}, "timestamp": "today"},
        "components": [
            {"bom-ref": name, "name": name, "version": "1", "externalReferences": []}
            for name in ("PyYAML", "attrs", "redis")
        ],
        "dependencies": [],
    }
    made = sbom.completed(found, {"biot-sidecar": {"pyyaml", "attrs"}, "pyyaml": set(), "attrs": set()}, "wheel")
    assert [one["name"] for one in made["components"]] == ["attrs", "mypy", "PyYAML"]
    assert made["dependencies"] == [
        {"ref": "attrs", "dependsOn": []},
        {"ref": "root", "dependsOn": ["PyYAML", "attrs"]},
        {"ref": "PyYAML", "dependsOn": []},
    ]
    assert "serialNumber" not in made


def test_what_an_extra_needs_is_followed_and_what_another_wants_is_not(tmp_path: Path) -> None:
    needs = {
        "biot-sidecar": ["a", "b; extra == 'x'", "c; extra == 'y'", "biot-sidecar[x]; extra == 'all'"],
        "a": ["d[z]", "e; extra == 'w'", "f; python_version < '3'"],
        "b": [],
        "c": [],
        "d": ["g; extra == 'z'"],
        "g": ["a"],
    }
    for name, wanted in needs.items():
        folder = tmp_path / f"{name.replace('-', '_')}-1.dist-info"
        folder.mkdir()
        lines = [f"Requires-Dist: {one}" for one in wanted]
        (folder / "METADATA").write_text(
            "\n".join(["Metadata-Version: 2.1", f"Name: {name}", "Version: 1", *lines, ""])
        )
    with_x = {"biot-sidecar": {"a", "b"}, "a": {"d"}, "b": set(), "d": {"g"}, "g": {"a"}}
    assert sbom.needs_of(str(tmp_path), ["x"]) == with_x
    assert sbom.needs_of(str(tmp_path), ["all"]) == with_x
    assert sbom.needs_of(str(tmp_path), []).keys() == {"biot-sidecar", "a", "d", "g"}


@pytest.mark.parametrize("name", [*LISTS, "vex.cdx.json"])
def test_a_list_fits_the_schema_of_cyclonedx(name: str) -> None:
    schema = wants.module("cyclonedx.validation.json")
    version = wants.module("cyclonedx.schema").SchemaVersion
    text = (DEPLOY / "sbom" / name).read_text()
    assert schema.JsonStrictValidator(version.V1_6).validate_str(text) is None


def test_the_wheel_carries_its_list(wheel) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if ".dist-info/sboms/" in name]
        assert json.loads(archive.read(name)) == LISTS["biot-sidecar.cdx.json"]


# ---- known vulnerabilities

REPORT = {
    "dependencies": [
        {"name": "redis", "version": "1.0", "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2"]}]},
        {"name": "attrs", "version": "1.0", "vulns": []},
    ]
}


def vex(**changed: Any) -> dict[str, Any]:
    one = {
        "id": "CVE-1",
        "analysis": {"state": "not_affected", "detail": "never called"},
        "affects": [{"ref": "pkg:pypi/redis@1.0"}],
    }
    return {"vulnerabilities": [{**one, **changed}]}


NO_VEX: dict[str, Any] = {"vulnerabilities": []}


def test_a_known_vulnerability_is_told_with_what_mends_it() -> None:
    assert audit.judge(REPORT, NO_VEX) == (
        ["redis 1.0: PYSEC-1 CVE-1; mended by 2", "2 packages, 1 vulnerabilities left"],
        False,
        True,
    )


def test_one_that_does_not_apply_is_told_with_its_reason() -> None:
    told = audit.judge(REPORT, vex())
    assert told.good
    assert told.lines[0] == "redis: CVE-1 does not apply: never called"


@pytest.mark.parametrize(
    "changed",
    [
        {"analysis": {"state": "exploitable", "detail": "so it is"}},
        {"affects": [{"ref": "pkg:pypi/redis@0.9"}]},
        {"affects": [{"ref": "pkg:pypi/attrs@1.0"}]},
        {"id": "CVE-2"},
    ],
    ids=["exploitable", "another version", "another package", "another one"],
)
def test_a_vex_excuses_what_it_names_alone(changed: dict[str, Any]) -> None:
    assert not audit.judge(REPORT, vex(**changed)).good


def test_a_vex_of_something_that_is_reported_no_more_is_told() -> None:
    clean = {"dependencies": [{"name": "redis", "version": "1.1", "vulns": []}]}
    told = audit.judge(clean, vex())
    assert not told.good
    assert told.lines[0] == "vex.cdx.json: CVE-1 is reported no more; take it out"


def test_an_index_without_such_data_is_no_good_news() -> None:
    nothing = {"dependencies": [{"name": "redis", "skip_reason": "not found"}]}
    assert audit.judge(nothing, NO_VEX) == (
        ["the package index offers no vulnerability data; nothing was looked up"],
        False,
        False,
    )
    half = {"dependencies": [*nothing["dependencies"], {"name": "attrs", "version": "1.0", "vulns": []}]}
    assert not audit.judge(half, NO_VEX).good


def test_every_reason_in_the_vex_is_one_that_the_audit_heeds_and_has_words() -> None:
    for one in json.loads(audit.VEX.read_text())["vulnerabilities"]:
        assert one["analysis"]["state"] in audit.HARMLESS
        assert one["analysis"]["detail"]


def test_what_the_index_cannot_answer_is_an_error_where_an_answer_is_required() -> None:
    code = "import audit, sys; audit.audit = lambda lock: {'dependencies': [{'name': 'a', 'skip_reason': 'x'}]}; "
    for required, status in (("", 0), ("1", 1)):
        ran = subprocess.run(
            [sys.executable, "-c", code + "sys.exit(audit.main(['l']))"], cwd=DEPLOY, env={"AUDIT_REQUIRED": required}
        )
        assert ran.returncode == status
