"""Looks known vulnerabilities of what ships up: audit.py LOCK...

pip-audit asks the package index; deploy/sbom/vex.cdx.json (CycloneDX VEX) says which do not apply here, and why.
Ends with 1 if one is left, or if the VEX speaks of one that is no more. An index that offers no such data is said in
words; that is 0 on a desk and 1 where AUDIT_REQUIRED=1, as in CI.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

VEX = Path(__file__).parent / "sbom" / "vex.cdx.json"
HARMLESS = {"not_affected", "false_positive"}


class Verdict(NamedTuple):
    """What an audit says, line by line; `asked`: the index had an answer."""

    lines: list[str]
    good: bool
    asked: bool = True


def judge(report: dict[str, Any], vex: dict[str, Any]) -> Verdict:
    """`report` is pip-audit's JSON."""
    found = report["dependencies"]
    unknown = [one for one in found if "skip_reason" in one]
    if unknown and len(unknown) == len(found):
        return Verdict(["the package index offers no vulnerability data; nothing was looked up"], False, asked=False)
    lines = [f"{one['name']}: not looked up: {one['skip_reason']}" for one in unknown]
    excused = {id_: one for one in vex["vulnerabilities"] for id_ in [one["id"], *aliases(one)] if harmless(one)}
    stale = {one["id"] for one in vex["vulnerabilities"]}
    left = 0
    for package in found:
        for known in package.get("vulns", []):
            names = [known["id"], *known.get("aliases", [])]
            excuse = next((excused[name] for name in names if name in excused and of(excused[name], package)), None)
            if excuse is None:
                left += 1
                fixed = ", ".join(known.get("fix_versions", [])) or "no version"
                lines.append(f"{package['name']} {package['version']}: {' '.join(names)}; mended by {fixed}")
            else:
                stale.discard(excuse["id"])
                lines.append(f"{package['name']}: {excuse['id']} does not apply: {excuse['analysis']['detail']}")
    lines += [f"{VEX.name}: {name} is reported no more; take it out" for name in sorted(stale)]
    return Verdict([*lines, f"{len(found)} packages, {left} vulnerabilities left"], not (left or stale or unknown))


def harmless(one: dict[str, Any]) -> bool:
    return one["analysis"]["state"] in HARMLESS


def aliases(one: dict[str, Any]) -> list[str]:
    return [reference["id"] for reference in one.get("references", [])]


def of(one: dict[str, Any], package: dict[str, Any]) -> bool:
    """True if that entry is about this very version."""
    purl = f"pkg:pypi/{re.sub(r'[-_.]+', '-', package['name']).lower()}@{package['version']}"
    return purl in {affected["ref"].partition("#")[2] or affected["ref"] for affected in one["affects"]}


def audit(lock: str) -> dict[str, Any]:
    """pip-audit's report on one lock; it looks nothing up of packages that the index does not know."""
    tool = Path(sys.executable).with_name("pip-audit")
    command = [tool, "--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off", "-r", lock]
    ran = subprocess.run(command, capture_output=True, text=True)
    if not ran.stdout.startswith("{"):
        raise SystemExit(f"pip-audit failed: {ran.stderr.strip()[-500:]}")
    return dict(json.loads(ran.stdout))


def main(locks: list[str]) -> int:
    vex = json.loads(VEX.read_text(encoding="utf-8"))
    packages = [one for lock in locks for one in audit(lock)["dependencies"]]
    unique = {one["name"]: one for one in packages}
    verdict = judge({"dependencies": list(unique.values())}, vex)
    print("\n".join(verdict.lines))
    if not verdict.asked:
        return int(os.environ.get("AUDIT_REQUIRED") == "1")
    return int(not verdict.good)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
