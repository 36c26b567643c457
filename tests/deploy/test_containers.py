"""Dockerfiles and the compose file: linted, fit for the schema, and holding to what they promise."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.programs import DEPLOY, ROOT
from tests.support import wants

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
DOCKERFILES = [ROOT / "Dockerfile", *sorted(DEPLOY.rglob("Dockerfile"))]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
BIN = Path(sys.executable).parent


def filled(text: str) -> str:
    """A value with compose's ${NAME:-default} filled in by the defaults."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


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


@pytest.mark.thorough
def test_the_compose_file_fits_the_compose_specification() -> None:
    check = [wants.program("check-jsonschema"), "--builtin-schema", "vendor.compose-spec", ROOT / "docker-compose.yml"]
    checked = subprocess.run(check, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr


STAGES = {
    name: (base, text)
    for base, name, text in re.findall(r"^FROM (\S+) AS (\S+)\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.M | re.S)
}


def layers(stage: str) -> str:
    """What an image is made of: its stage and those that it is made from, without comments."""
    base, text = STAGES[stage]
    return re.sub(r"^#.*$", "", (layers(base) if base in STAGES else "") + text, flags=re.MULTILINE)


@pytest.mark.parametrize("stage", ["sidecar", "simulator"])
def test_the_image_runs_as_a_numbered_user_and_takes_signals_itself(stage: str) -> None:
    image = layers(stage)
    assert re.search(r"^USER [1-9]\d+:[1-9]\d+$", image, re.MULTILINE)
    assert json.loads(re.search(r"^ENTRYPOINT (.*)$", image, re.MULTILINE)[1]) == ["biot-sidecar"]
    assert "STOPSIGNAL SIGTERM" in image
    assert "pip" not in image


def test_the_image_that_is_made_if_none_is_named_is_the_sidecar_with_redis_and_traces_and_no_more() -> None:
    assert list(STAGES)[-1] == "sidecar"
    assert re.findall(r'biot-sidecar\[([\w,]+)\]"', layers("build")) == ["redis,otel"]
    assert re.findall(r"--from=(\S+)", layers("sidecar")) == ["build"]
    assert re.findall(r'biot-sidecar\[([\w,]+)\]"', layers("build-all")) == ["redis,otel", "all"]
    assert re.findall(r"--from=(\S+)", layers("simulator")) == ["build-all"]


def test_what_compose_runs_has_what_it_needs() -> None:
    assert SERVICES["sidecar"]["build"]["target"] == "sidecar"
    assert SERVICES["simulator"]["build"]["target"] == "simulator"
    assert SERVICES["simulator"]["image"] != SERVICES["sidecar"]["image"]


def test_the_byte_code_that_the_base_lacks_is_there_for_all_that_a_start_imports() -> None:
    (left_out,) = re.findall(
        r"^RUN python -m compileall [^#]*? -x '([^']+)'", layers("runtime"), re.MULTILINE | re.DOTALL
    )
    said = (
        "import sys, biot_sidecar.process.sidecar; print(*[getattr(m, '__file__', None) for m in sys.modules.values()])"
    )
    files = subprocess.run([sys.executable, "-c", said], check=True, capture_output=True, text=True).stdout.split()
    library = [file for file in files if file.startswith(sysconfig.get_path("stdlib")) and "site-packages" not in file]
    assert len(library) > 50
    assert [file for file in library if re.search(left_out, file)] == []


@pytest.mark.parametrize("dockerfile", [ROOT / "Dockerfile", DEPLOY / "aws-lambda" / "Dockerfile"], ids=named)
def test_what_a_dockerfile_copies_exists_and_is_not_ignored(dockerfile: Path) -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile.read_text(), re.MULTILINE):
        for source in line.replace("${PLUGIN}", "deploy/aws-lambda/examples/python").split()[:-1]:
            assert (ROOT / source).exists(), source
            assert any(source == name or source.startswith(name + "/") for name in kept), source


def test_sidecar_and_plugin_share_a_network_that_outlives_either_and_nobody_else_reaches_the_sidecar() -> None:
    """Whoever joins the network of a container that comes back after a crash is left in the old one, cut off."""
    holder = SERVICES["pod"]
    assert (holder["command"], holder["init"], holder["restart"]) == (["sleep", "infinity"], True, "unless-stopped")
    for name in ("sidecar", "plugin"):
        assert SERVICES[name]["network_mode"] == "service:pod"
        assert SERVICES[name]["depends_on"]["pod"] == {"condition": "service_started", "restart": True}
        assert name in holder["networks"]["default"]["aliases"]
    assert "SIDECAR_LISTEN" not in SERVICES["sidecar"]["environment"]
    assert "SIDECAR_ALLOW_REMOTE" not in SERVICES["sidecar"]["environment"]


def test_nothing_ends_by_itself_since_up_and_wait_would_take_it_for_failed() -> None:
    assert SERVICES["event"]["command"][-1].endswith(" && exec sleep infinity")
    assert {name for name, service in SERVICES.items() if service["restart"] == "no"} == {"event"}


@pytest.mark.parametrize("name", [name for name in SERVICES if "healthcheck" in SERVICES[name]])
def test_health_is_looked_at_soon_and_then_seldom(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert (check["start_interval"], check["interval"]) == ("1s", "10s")


def test_no_health_check_starts_an_interpreter() -> None:
    """Which costs 20 to 100 ms of CPU each time, for ever."""
    (image,) = re.findall(r"^HEALTHCHECK .*--start-interval=1s .*CMD (.*)$", DOCKERFILE, re.MULTILINE)
    checks = [
        service["healthcheck"].get("test", ["CMD", *json.loads(image)])
        for service in SERVICES.values()
        if "healthcheck" in service
    ]
    assert {check[1] for check in checks} == {"healthy", "bash"}
    assert (DEPLOY / "docker" / "healthy").read_text().startswith("#!/bin/bash\n")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_finds_what_it_mounts(name: str) -> None:
    mounts = [filled(volume).split(":")[0] for volume in SERVICES[name].get("volumes", [])]
    assert [mount for mount in mounts if mount.startswith("./") and not (ROOT / mount).exists()] == []


def test_secrets_are_files_in_mounted_folders_and_no_environment_holds_one() -> None:
    """Of a file that is mounted alone (as `secrets:` are) a new one, renamed into its place, never arrives."""
    assert "secrets" not in COMPOSE
    for service in SERVICES.values():
        assert "BIOT_SERVICE_USER_SECRET_KEY" not in service.get("environment", {})
        assert "secrets" not in service
    for name in ("sidecar", "simulator"):
        folder = Path(SERVICES[name]["environment"]["BIOT_SERVICE_USER_SECRET_KEY_FILE"]).parent
        (mounted,) = [filled(volume) for volume in SERVICES[name]["volumes"] if f":{folder}:" in volume]
        assert mounted.endswith(":ro")
        assert (ROOT / mounted.split(":")[0] / "secret-key").is_file()


def test_prometheus_scrapes_where_the_sidecars_admin_listener_is() -> None:
    (job,) = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    port = SERVICES["sidecar"]["environment"]["SIDECAR_ADMIN_LISTEN"].rpartition(":")[2]
    assert job["static_configs"] == [{"targets": [f"sidecar:{port}"]}]


def test_monitoring_starts_only_when_asked_for() -> None:
    asked_for = {name for name, service in SERVICES.items() if service.get("profiles") == ["monitoring"]}
    assert asked_for == {"prometheus", "grafana"}
