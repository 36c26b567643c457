"""Completes a list of components: sbom.py ENVIRONMENT.json wheel|image > LIST.cdx.json

ENVIRONMENT.json is what cyclonedx-py found in an environment (CycloneDX). Added are our own version, each component's
level of support and its end (sbom/support.toml), the runtime of mypyc, and for the image Python and Debian. The result
depends on nothing else: the same locks make the same bytes.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SUPPORT = tomllib.loads((ROOT / "deploy" / "sbom" / "support.toml").read_text(encoding="utf-8"))
PROPERTY = "biot-sidecar:support:"


def completed(found: dict[str, Any], kind: str) -> dict[str, Any]:
    """The list of what the wheel brings along, or of what the image has."""
    packages = [
        supported(trimmed(one), SUPPORT["packages"][plain(one["name"])]) for one in found["components"] if ours(one)
    ]
    packages.append(supported(mypyc(), SUPPORT["packages"]["mypy"]))
    beside = [supported(one, SUPPORT["image"][one["name"]]) for one in base()] if kind == "image" else []
    refs = {one["bom-ref"] for one in packages}
    root = found["metadata"]["component"] | {"version": version(), "purl": f"pkg:pypi/biot-sidecar@{version()}"}
    return {
        **{name: found[name] for name in ("$schema", "bomFormat", "specVersion", "version")},
        "metadata": {
            "timestamp": f"{SUPPORT['reviewed']}T00:00:00+00:00",
            "component": root,
            "authors": [{"name": "biot-sidecar"}],
            "properties": [{"name": "cdx:reproducible", "value": "true"}],
        },
        "components": sorted([*packages, *beside], key=lambda one: one["name"].lower()),
        "dependencies": [one for one in found["dependencies"] if one["ref"] in {*refs, root["bom-ref"]}],
    }


def ours(component: dict[str, Any]) -> bool:
    return plain(component["name"]) != "biot-sidecar"


def plain(name: str) -> str:
    """A package's name as the index writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def trimmed(component: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in component.items() if name != "externalReferences"}


def supported(component: dict[str, Any], support: dict[str, Any]) -> dict[str, Any]:
    told = {"end": SUPPORT["defaults"]["end"], **support}
    properties = [{"name": PROPERTY + name, "value": str(value)} for name, value in told.items()]
    return {**component, "properties": sorted(properties, key=lambda one: one["name"])}


def mypyc() -> dict[str, Any]:
    """What compiled modules carry of their compiler."""
    found = locked("requirements-compile.lock")["mypy"]
    return {
        "type": "library",
        "bom-ref": f"mypy=={found}",
        "name": "mypy",
        "version": found,
        "description": "The runtime of mypyc, within the modules of the forwarding path where they are compiled.",
        "licenses": [{"license": {"id": "MIT"}}],
        "purl": f"pkg:pypi/mypy@{found}",
    }


def base() -> list[dict[str, Any]]:
    """Python and the system of the image, from the name of its base."""
    name = re.search(r"^ARG BASE=(\S+)", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    parts = re.fullmatch(r".*/python:([\d.]+)-slim-(\w+)(?:@(sha256:\w+))?", name[1] if name else "")
    if parts is None:
        raise SystemExit("the Dockerfile's base is no slim Python")
    python, codename = parts[1], parts[2]
    release = {"bookworm": "12", "trixie": "13"}[codename]
    purl = f"pkg:generic/python@{python}"
    return [
        {"type": "platform", "bom-ref": "python", "name": "python", "version": python, "purl": purl},
        {"type": "operating-system", "bom-ref": "debian", "name": "debian", "version": release},
    ]


def locked(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))


def version() -> str:
    text = (ROOT / "proxy" / "biot_sidecar" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.*)"$', text, re.MULTILINE)
    assert found
    return found[1]


if __name__ == "__main__":
    environment, kind = sys.argv[1:]
    print(json.dumps(completed(json.loads(Path(environment).read_text(encoding="utf-8")), kind), indent=1))
