"""`make test-docker`: builds the images in a real Docker engine, brings compose up, and kills each part once.

An engine that answers is used as it is. Else, as root and where `dockerd` is installed, one of its own runs in
ENGINE_FOLDER (default build/engine): first with the machine's network, to build; then in a network namespace
of its own, where nothing of the machine's is touched. Where neither can be had it says so and ends with 0, or with 1 if
ENGINE_REQUIRED=1. BASE names another base image than the Dockerfile's, such as one that was imported by hand.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "biot-sidecar-test"
PATIENCE = 60.0
"""Seconds in which an engine begins to answer, or ends."""
TARGETS = {"simulator": "biot-sidecar:simulator", "sidecar": "biot-sidecar:local"}
TESTS = ["tests/deploy/test_compose_engine.py", "-n0", "-x", "-v"]
NO_BRIDGE = ["--bridge=none", "--iptables=false", "--ip6tables=false"]

Environment = Mapping[str, str]


def answers(env: Environment) -> bool:
    """True if an engine with compose does."""
    for words in (["version"], ["compose", "version"]):
        if subprocess.run(["docker", *words], env=env, capture_output=True).returncode:
            return False
    return True


def lacking() -> list[str]:
    """What one would need for an engine of one's own."""
    programs = [
        name for name in ("docker", "dockerd", "containerd", "ip", "nsenter", "unshare") if not shutil.which(name)
    ]
    return programs + ([] if os.geteuid() == 0 else ["root's rights"])


def build(env: Environment) -> None:
    """The images; with the machine's network, since one of a bridge of its own may lead nowhere."""
    base = ["--build-arg", f"BASE={env['BASE']}"] if env.get("BASE") else []
    for target, tag in TARGETS.items():
        print(f"building {tag} ...", flush=True)
        words = ["docker", "build", "--quiet", "--network", "host", *base, "--target", target, "--tag", tag, "."]
        subprocess.run(words, cwd=ROOT, env=env, check=True)


def test(env: Environment, *before: str) -> int:
    """pytest's exit status; `before` is what it is run by."""
    words = [*before, sys.executable, "-m", "pytest", *TESTS]
    return subprocess.run(words, cwd=ROOT, env={"DOCKER_HOST": "unix:///var/run/docker.sock", **env}).returncode


@contextmanager
def engine(folder: Path, env: Environment, *, namespace: str = "") -> Iterator[Environment]:
    """An engine in `folder`, and the environment that speaks to it."""
    socket = folder / "docker.sock"
    mine = {**env, "DOCKER_HOST": f"unix://{socket}", "DOCKER_CONFIG": str(folder / "cfg")}
    if answers(mine):
        raise SystemExit(f"an engine runs in {folder} already: DOCKER_HOST=unix://{socket} uses it")
    words = ["unshare", "-m", "--propagation", "private", "dockerd", f"--data-root={folder / 'data'}"]
    words += [f"--exec-root={folder / 'exec'}", f"--pidfile={folder / 'pid'}", "-H", f"unix://{socket}"]
    words += ["--exec-opt", "native.cgroupdriver=cgroupfs", "--storage-driver=overlay2"]
    words = ["nsenter", f"--net=/run/netns/{namespace}", *words] if namespace else [*words, *NO_BRIDGE]
    if proxy := shutil.which("docker-proxy"):
        words.append(f"--userland-proxy-path={proxy}")
    with (folder / "engine.log").open("wb") as log:
        process = subprocess.Popen(words, env=mine, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        end = monotonic() + PATIENCE
        while not answers(mine):
            if process.poll() is not None or monotonic() > end:
                raise SystemExit(f"the engine does not answer; {folder / 'engine.log'} says why")
            sleep(0.2)
        yield mine
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


@contextmanager
def own_network() -> Iterator[str]:
    """A network namespace with nothing but loopback."""
    subprocess.run(["ip", "netns", "add", NAMESPACE], check=True)
    try:
        subprocess.run(["ip", "-n", NAMESPACE, "link", "set", "lo", "up"], check=True)
        yield NAMESPACE
    finally:
        subprocess.run(["ip", "netns", "delete", NAMESPACE], check=True)


def main(env: Environment) -> int:
    if shutil.which("docker") and answers(env):
        build(env)
        return test(env)
    if missing := lacking():
        print(f"skipped: no Docker engine answers, and one of its own wants {', '.join(missing)}")
        return int(env.get("ENGINE_REQUIRED") == "1")
    folder = Path(env.get("ENGINE_FOLDER") or ROOT / "build" / "engine").resolve()
    (folder / "cfg").mkdir(parents=True, exist_ok=True)
    with engine(folder, env) as building:
        build(building)
    with own_network() as namespace, engine(folder, env, namespace=namespace) as running:
        return test(running, "nsenter", f"--net=/run/netns/{namespace}")


if __name__ == "__main__":
    sys.exit(main(os.environ))
