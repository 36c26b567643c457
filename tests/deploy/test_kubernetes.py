"""The Kubernetes manifests: right for the API server's schemas, and right for what the sidecar needs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.programs import DEPLOY, ROOT, SECRET, USER
from tests.support import wants

BASE = DEPLOY / "kubernetes" / "base"
DEPLOYMENT, SERVICE = yaml.safe_load_all((BASE / "plugin.yaml").read_text())
ALERTS = yaml.safe_load((DEPLOY / "kubernetes" / "monitoring" / "prometheusrule.yaml").read_text())
MONITOR = yaml.safe_load((DEPLOY / "kubernetes" / "monitoring" / "podmonitor.yaml").read_text())
POD: dict[str, Any] = DEPLOYMENT["spec"]["template"]["spec"]
(SIDECAR,) = POD["initContainers"]
(PLUGIN,) = POD["containers"]


@pytest.mark.parametrize("version", ["1.29", "1.33", "1.37"])
@pytest.mark.parametrize("manifest", [DEPLOYMENT, SERVICE], ids=lambda manifest: manifest["kind"])
def test_a_manifest_fits_the_schemas_of_kubernetes(manifest: dict[str, Any], version: str) -> None:
    wants.module("kubernetes_validate").validate(manifest, version, strict=True)


def rendered(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """What kustomize makes of a folder: (kind, name) -> manifest."""
    command = [wants.program("kubectl"), "kustomize", folder]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(text)}


def test_kustomize_keeps_the_names_so_that_changed_rules_are_reloaded() -> None:
    rules = rendered(BASE)["ConfigMap", "biot-routes"]
    # A name that follows the content would restart the pods instead.
    assert rules["data"]["routes.yaml"] == (BASE / "routes.yaml").read_text()


def test_the_example_overlay_puts_its_own_images_and_biot_into_the_base() -> None:
    manifests = rendered(BASE.parent / "example")
    for manifest in manifests.values():  # no kind that a cluster may lack: it would apply none of them
        wants.module("kubernetes_validate").validate(manifest, "1.37", strict=True)
    pod = manifests["Deployment", "biot-plugin"]["spec"]["template"]["spec"]
    assert pod["initContainers"][0]["image"] == "registry.example/biot-sidecar:0.2.0"
    assert manifests["ConfigMap", "biot"]["data"] == {"base-url": "https://api.dev.example.biot-med.com"}


def test_the_example_overlay_brings_the_monitor_where_its_lines_are_uncommented(tmp_path: Path) -> None:
    folders = shutil.copytree(BASE.parent, tmp_path / "kubernetes")
    overlay = folders / "example" / "kustomization.yaml"
    overlay.write_text(overlay.read_text().replace("# components:\n#   - ", "components:\n  - "))
    assert {("PodMonitor", "biot-sidecar"), ("PrometheusRule", "biot-sidecar")} <= rendered(folders / "example").keys()


def test_the_operator_gets_the_alerts_that_prometheus_gets() -> None:
    plain = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())
    assert ALERTS["spec"] == plain, "run `make docs`"
    assert (ALERTS["apiVersion"], ALERTS["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")


def test_the_monitoring_component_has_all_that_lies_in_its_folder() -> None:
    folder = DEPLOY / "kubernetes" / "monitoring"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert sorted([*listed, "kustomization.yaml"]) == sorted(path.name for path in folder.iterdir())


def test_the_monitor_names_the_job_as_the_alerts_do() -> None:
    """The operator's own name for it is NAMESPACE/NAME, which no alert asks for."""
    (endpoint,) = MONITOR["spec"]["podMetricsEndpoints"]
    alerts = (DEPLOY / "prometheus" / "alerts.yml").read_text()
    (job,) = set(re.findall(r'job="([^"]+)"', alerts))
    assert {"targetLabel": "job", "replacement": job} in endpoint["relabelings"]


def test_the_sidecar_starts_before_the_plugin_and_outlives_it() -> None:
    assert SIDECAR["restartPolicy"] == "Always"
    assert SIDECAR["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert POD["terminationGracePeriodSeconds"] > 25


def test_probes_and_prometheus_ask_the_admin_listener_and_nothing_else_is_open() -> None:
    (port,) = SIDECAR["ports"]
    assert SIDECAR["env"][-1] == {"name": "SIDECAR_ADMIN_LISTEN", "value": f"0.0.0.0:{port['containerPort']}"}
    asked = [SIDECAR[probe]["httpGet"]["port"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert {*asked, MONITOR["spec"]["podMetricsEndpoints"][0]["port"]} == {port["name"]}
    assert MONITOR["spec"]["selector"] == DEPLOYMENT["spec"]["selector"]


@pytest.mark.parametrize("container", [SIDECAR, PLUGIN], ids=lambda container: container["name"])
def test_a_container_passes_the_restricted_pod_security_standard(container: dict[str, Any]) -> None:
    pod = POD["securityContext"]
    assert (pod["runAsNonRoot"], pod["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
    context = container["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert container["resources"]["limits"]["memory"]


def test_changes_of_rules_and_secret_reach_the_running_sidecar() -> None:
    assert SIDECAR["volumeMounts"]
    assert not [mount for mount in SIDECAR["volumeMounts"] if "subPath" in mount]
    volumes = {volume["name"] for volume in POD["volumes"]}
    assert {mount["name"] for mount in SIDECAR["volumeMounts"]} == volumes


def test_the_secret_is_a_file_that_only_the_sidecar_sees() -> None:
    assert "volumeMounts" not in PLUGIN
    names = {entry["name"] for entry in SIDECAR["env"]}
    assert "BIOT_SERVICE_USER_SECRET_KEY_FILE" in names
    assert "BIOT_SERVICE_USER_SECRET_KEY" not in names


def test_the_rules_of_the_base_are_right() -> None:
    command = [sys.executable, "-m", "biot_sidecar", "check", "--routes", str(BASE / "routes.yaml")]
    user = {"BIOT_SERVICE_USER_ID": USER, "BIOT_SERVICE_USER_SECRET_KEY": SECRET}
    settings = {"BIOT_BASE_URL": "https://api.example", **user}
    checked = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
