"""Completes a list of components: sbom.py ENVIRONMENT ENVIRONMENT.json wheel|image > LIST.cdx.json

ENVIRONMENT.json is what cyclonedx-py found in that environment (CycloneDX). Added are our own version, each component's
level of support and its end (sbom/support.toml), the runtime of mypyc, and for the image Python and Debian. The image
has what the extras in the Dockerfile need, the wheel what all extras need. The result depends on nothing else: the same
locks make the same bytes.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
SUPPORT = tomllib.loads((ROOT / "deploy" / "sbom" / "support.toml").read_text(encoding="utf-8"))
PROPERTY = "biot-sidecar:support:"
OURS = "biot-sidecar"


Needs = dict[str, set[str]]
"""Package -> the packages that it needs, by their plain names."""


def completed(found: dict[str, Any], needs: Needs, kind: str) -> dict[str, Any]:
    """The list of what the wheel brings along, or of what the image has; `needs` has an entry for each of them."""
    components = {plain(one["name"]): one for one in found["components"]}
    packages = [supported(trimmed(components[name]), SUPPORT["packages"][name]) for name in needs if name != OURS]
    packages.append(supported(mypyc(), SUPPORT["packages"]["mypy"]))
    beside = [supported(one, SUPPORT["image"][one["name"]]) for one in base()] if kind == "image" else []
    root = found["metadata"]["component"] | {"version": version(), "purl": f"pkg:pypi/{OURS}@{version()}"}
    refs = {OURS: root["bom-ref"]} | {name: components[name]["bom-ref"] for name in needs if name != OURS}
    return {
        **{name: found[name] for name in ("$schema", "bomFormat", "specVersion", "version")},
        "metadata": {
            "timestamp": f"{SUPPORT['reviewed']}T00:00:00+00:00",
            "component": root,
            "authors": [{"name": OURS}],
            "properties": [{"name": "cdx:reproducible", "value": "true"}],
        },
        "components": sorted([*packages, *beside], key=lambda one: one["name"].lower()),
        "dependencies": [
            {"ref": refs[name], "dependsOn": sorted(refs[one] for one in needed)}
            for name, needed in sorted(needs.items())
        ],
    }


def needs_of(packages: str, extras: list[str]) -> Needs:
    """What we need with these extras, and what that needs, of what lies in the folder `packages`."""
    there = {plain(one.metadata["Name"]): one for one in distributions(path=[packages])}
    needs: Needs = {}
    waiting = {(OURS, extra) for extra in ("", *extras)}
    while waiting:
        name, extra = waiting.pop()
        wanted = [Requirement(text) for text in there[name].requires or []]
        wanted = [one for one in wanted if not one.marker or one.marker.evaluate({"extra": extra})]
        needed = {plain(one.name) for one in wanted} - {OURS}
        new = {(plain(one.name), more) for one in wanted for more in ("", *one.extras)}
        waiting |= {(one, more) for one, more in new if one == OURS or one not in needs or more}
        needs[name] = needs.get(name, set()) | needed
    return needs


def image_extras() -> list[str]:
    """The extras of ours that the image has."""
    asked = re.search(r'"biot-sidecar\[([\w,]+)\]"', (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    return asked[1].split(",") if asked else []


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
    environment, listed, kind = sys.argv[1:]
    (packages,) = Path(environment).glob("lib/python3*/site-packages")
    needs = needs_of(str(packages), image_extras() if kind == "image" else ["all"])
    print(json.dumps(completed(json.loads(Path(listed).read_text(encoding="utf-8")), needs, kind), indent=1))
