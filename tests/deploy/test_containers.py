"""Dockerfiles and the compose file: linted, fit for the schema, and holding to what they promise."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.programs import DEPLOY, ROOT
from tests.support import wants

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILES = [ROOT / "Dockerfile", *sorted(DEPLOY.rglob("Dockerfile"))]
BIN = Path(sys.executable).parent


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=named)
def test_hadolint_finds_nothing_in_a_dockerfile(dockerfile: Path) -> None:
    linted = subprocess.run([wants.program("hadolint"), "--no-color", dockerfile], capture_output=True, text=True)
    assert (linted.returncode, linted.stdout) == (0, "")


def test_every_image_is_named_by_an_exact_version() -> None:
    """But for Lambda's, which AWS mends under the same name; and every Python is the same one."""
    texts = [path.read_text() for path in [*DOCKERFILES, ROOT / "docker-compose.yml"]]
    images = {image for text in texts for image in re.findall(r"\b(?:docker\.io|public\.ecr\.aws)/[^\s@\"]+", text)}
    exact = {image for image in images if re.search(r":v?\d+\.\d+\.\d+[\w.-]*$", image)}
    assert {image.partition(":")[0] for image in images - exact} <= {
        "public.ecr.aws/lambda/python",
        "public.ecr.aws/lambda/nodejs",
    }
    assert len({image for image in exact if "/python:" in image}) == 1


def test_the_compose_file_fits_the_compose_specification() -> None:
    check = [wants.program("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", ROOT / "docker-compose.yml"]
    checked = subprocess.run(check, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_image_runs_as_a_numbered_user_and_takes_signals_itself() -> None:
    last_stage = (ROOT / "Dockerfile").read_text().rpartition("\nFROM ")[2]
    assert re.search(r"^USER [1-9]\d+:[1-9]\d+$", last_stage, re.MULTILINE)
    assert json.loads(re.search(r"^ENTRYPOINT (.*)$", last_stage, re.MULTILINE)[1]) == ["biot-sidecar"]
    assert "STOPSIGNAL SIGTERM" in last_stage
    assert "pip" not in re.sub(r"^#.*$", "", last_stage, flags=re.MULTILINE)


@pytest.mark.parametrize("dockerfile", [ROOT / "Dockerfile", DEPLOY / "aws-lambda" / "Dockerfile"], ids=named)
def test_what_a_dockerfile_copies_exists_and_is_not_ignored(dockerfile: Path) -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile.read_text(), re.MULTILINE):
        for source in line.replace("${PLUGIN}", "deploy/aws-lambda/examples/python").split()[:-1]:
            assert (ROOT / source).exists(), source
            assert any(source == name or source.startswith(name + "/") for name in kept), source


def test_the_plugin_shares_the_sidecars_network_and_nobody_else_reaches_the_sidecar() -> None:
    assert SERVICES["plugin"]["network_mode"] == "service:sidecar"
    assert "SIDECAR_LISTEN" not in SERVICES["sidecar"]["environment"]
    assert "SIDECAR_ALLOW_REMOTE" not in SERVICES["sidecar"]["environment"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_finds_what_it_mounts(name: str) -> None:
    mounts = [volume.split(":")[0] for volume in SERVICES[name].get("volumes", [])]
    assert [mount for mount in mounts if mount.startswith("./") and not (ROOT / mount).exists()] == []


def test_secrets_are_files_and_no_environment_holds_one() -> None:
    for service in SERVICES.values():
        assert "BIOT_SERVICE_USER_SECRET_KEY" not in service.get("environment", {})
        assert set(service.get("secrets", [])) <= set(COMPOSE["secrets"])
    assert all(set(secret) == {"file"} for secret in COMPOSE["secrets"].values())


def test_prometheus_scrapes_where_the_sidecars_admin_listener_is() -> None:
    (job,) = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    port = SERVICES["sidecar"]["environment"]["SIDECAR_ADMIN_LISTEN"].rpartition(":")[2]
    assert job["static_configs"] == [{"targets": [f"sidecar:{port}"]}]


def test_monitoring_starts_only_when_asked_for() -> None:
    asked_for = {name for name, service in SERVICES.items() if service.get("profiles") == ["monitoring"]}
    assert asked_for == {"prometheus", "grafana"}
