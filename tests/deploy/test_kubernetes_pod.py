"""The pod in small: both containers as processes with the manifest's own environment, files, probes and changes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from tests.deploy.programs import DEADLINE, DEPLOY, SECRET, USER, call, logins, program, seen
from tests.deploy.test_examples import EVENT, HEADERS, PATIENT
from tests.deploy.test_kubernetes import BASE, MONITOR, PLUGIN, SIDECAR
from tests.support.ports import free_port
from tests.support.simulated_biot import simulated_biot

pytestmark = pytest.mark.e2e
VOLUMES = {mount["name"]: mount["mountPath"] for mount in SIDECAR["volumeMounts"]}


class Volume:
    """A mounted ConfigMap or Secret: files are links through ..data, and an update moves that link."""

    def __init__(self, folder: Path, **files: str) -> None:
        self.folder = folder
        self._version = 0
        folder.mkdir()
        self.update(**files)
        for name in files:
            (folder / name).symlink_to(f"..data/{name}")

    def update(self, **files: str) -> None:
        self._version += 1
        version = self.folder / f"..version_{self._version}"
        version.mkdir()
        for name, text in files.items():
            (version / name).write_text(text)
        (self.folder / "..data_tmp").symlink_to(version.name)
        (self.folder / "..data_tmp").replace(self.folder / "..data")


@dataclass
class Pod:
    sidecar: str
    admin: int
    routes: Volume
    secret: Volume

    def probe(self, kind: str) -> int:
        """As the kubelet asks: from outside, at the pod's address and the named port."""
        asked = SIDECAR[kind]["httpGet"]
        assert asked["port"] == SIDECAR["ports"][0]["name"]
        return self.get(asked["path"])

    def get(self, path: str, port: int | None = None) -> int:
        connection = HTTPConnection("127.0.0.1", port or self.admin, timeout=DEADLINE)
        try:
            connection.request("GET", path, headers={"Host": f"10.1.2.3:{self.admin}", "User-Agent": "kube-probe/1.33"})
            return connection.getresponse().status
        finally:
            connection.close()


@contextmanager
def pod(folder: Path, base_url: str, secret: str = SECRET) -> Iterator[Pod]:
    """The sidecar's container. Only the ports differ from the cluster's, and where the volumes are mounted."""
    routes = Volume(folder / "routes", **{"routes.yaml": (BASE / "routes.yaml").read_text()})
    user = Volume(folder / "user", **{"secret-key": secret + "\n"})
    given = {"biot": {"base-url": base_url}, "biot-service-user": {"id": USER}}
    mounted = {VOLUMES["routes"]: str(routes.folder), VOLUMES["service-user"]: str(user.folder)}
    env = {entry["name"]: value(entry, given, mounted) for entry in SIDECAR["env"]}
    admin = free_port()
    env["SIDECAR_ADMIN_LISTEN"] = env["SIDECAR_ADMIN_LISTEN"].replace("8789", str(admin))
    env["SIDECAR_LISTEN"] = "127.0.0.1:0"
    with program(folder, "sidecar", [sys.executable, "-m", "biot_sidecar", "serve"], env) as running:
        yield Pod("http://" + running.first_line.split()[3], admin, routes, user)
        assert running.stop() == 0, running.log()


def value(entry: dict[str, Any], given: dict[str, dict[str, str]], mounted: dict[str, str]) -> str:
    """What the kubelet puts into the variable."""
    if "valueFrom" in entry:
        (reference,) = entry["valueFrom"].values()
        return given[reference["name"]][reference["key"]]
    text = str(entry["value"])
    for path, folder in mounted.items():
        text = text.replace(path, folder)
    return text


def test_the_probes_and_prometheus_find_what_they_ask_for(tmp_path: Path) -> None:
    with simulated_biot() as biot, pod(tmp_path, biot) as running:
        assert [running.probe(kind) for kind in ("startupProbe", "readinessProbe", "livenessProbe")] == [200, 200, 200]
        assert running.get(MONITOR["spec"]["podMetricsEndpoints"][0]["path"]) == 200
        # Nothing of the plugin's listener is to be had there, and the plugin's listener knows no such host.
        assert running.get(PATIENT) == 404
        assert running.get("/healthz", int(running.sidecar.rpartition(":")[2])) == 421


def test_a_wrong_secret_takes_the_pod_out_of_service_without_restarting_it_until_the_secret_changes(
    tmp_path: Path,
) -> None:
    with simulated_biot() as biot, pod(tmp_path, biot, secret="wrong") as running:
        until(lambda: running.probe("readinessProbe") == 503)
        assert running.probe("livenessProbe") == 200
        running.secret.update(**{"secret-key": SECRET + "\n"})
        assert call("GET", running.sidecar + PATIENT)["_id"] == PATIENT.rpartition("/")[2]
        assert running.probe("readinessProbe") == 200
        assert logins(biot) == 1


def test_an_edited_config_map_is_reloaded(tmp_path: Path) -> None:
    with simulated_biot() as biot, pod(tmp_path, biot) as running:
        renamed = (BASE / "routes.yaml").read_text().replace("patient updates", "edited patient updates")
        running.routes.update(**{"routes.yaml": renamed})
        explained = f"{running.sidecar}/_sidecar/explain?method=PATCH&path={PATIENT}"
        until(lambda: call("GET", explained)["route"] == "edited patient updates run interceptors")


def test_the_plugins_container_needs_no_more_than_the_manifest_gives_it(tmp_path: Path) -> None:
    env = {entry["name"]: entry["value"] for entry in PLUGIN["env"]}
    assert env == {"PLUGIN_LISTEN": f"0.0.0.0:{PLUGIN['ports'][0]['containerPort']}"}
    with simulated_biot() as biot, pod(tmp_path, biot) as running:
        # The cluster's sidecar is at the plugin's default address, which may be taken on this machine.
        env |= {"SIDECAR_URL": running.sidecar, "PLUGIN_LISTEN": "0.0.0.0:0"}
        command = [sys.executable, "-u", str(DEPLOY / "examples" / "python" / "plugin.py")]
        with program(tmp_path, "plugin", command, env) as plugin:
            address = plugin.first_line.split()[2].rstrip(",").replace("0.0.0.0", "127.0.0.1")
            assert call("POST", f"http://{address}/", EVENT, **HEADERS)["changed"] is True
        assert {one["token"] for one in seen(biot) if one["path"] == PATIENT} == {"valid"}


def until(holds: Callable[[], bool]) -> None:
    """Ask again and again, for the change has no event that this side could wait for."""
    end = monotonic() + DEADLINE
    while not holds():
        assert monotonic() < end
        sleep(0.05)
