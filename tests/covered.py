"""What the tests ran through: the whole package and the forwarding path, each against its floor in pyproject.toml.

`make cover` measures and calls this. The path is what is compiled; where no test runs through a part of it, a comment
there says why (`pragma: no cover`).
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
FORWARDING_PATH: list[str] = PROJECT["hatch"]["build"]["targets"]["wheel"]["hooks"]["custom"]["modules"]


def floors() -> dict[str, int]:
    """Per cent of lines and branches, by what they are of."""
    return {
        "the whole": PROJECT["coverage"]["report"]["fail_under"],
        "the forwarding path": PROJECT["biot-sidecar"]["coverage"]["forwarding-path"],
    }


def verdict(found: dict[str, float], least: dict[str, int]) -> tuple[list[str], bool]:
    """A line for each part, and whether all reach their floors."""
    told = [f"{part}: {percent:.2f} % of lines and branches; floor {least[part]} %" for part, percent in found.items()]
    return told, all(percent >= least[part] for part, percent in found.items())


def main() -> int:
    from coverage import Coverage  # `make cover` brings it

    measured = Coverage()
    measured.load()
    found = {"the whole": measured.report()}
    print("\nOf these, the forwarding path:\n")
    found["the forwarding path"] = measured.report(include=[str(ROOT / module) for module in FORWARDING_PATH])
    told, enough = verdict(found, floors())
    print("\n" + "\n".join(told))
    return 0 if enough else 1


if __name__ == "__main__":
    sys.exit(main())
