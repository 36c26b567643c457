"""mypy for every platform: `make types`. Fails where a platform has more errors than pyproject.toml allows it.

What only one platform has stands behind `if sys.platform == ...`, which mypy knows how to read.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ADVICE = "what not every platform has stands behind sys.platform, or pyproject.toml owns up to it"


def allowed() -> dict[str, int]:
    """Platform -> how many errors it may have."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return dict(project["tool"]["biot-sidecar"]["type-errors"])


def begun(platform: str) -> subprocess.Popen[str]:
    # A cache for each: one that they shared would be thrown away at each turn.
    command = [sys.executable, "-m", "mypy", "--platform", platform, "--cache-dir", f".mypy_cache/{platform}"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def verdict(platform: str, said: str, status: int, most: int) -> tuple[bool, str]:
    """Whether that is good enough, and what to say of it."""
    errors = [line for line in said.splitlines() if ": error: " in line]
    if status not in (0, 1) or bool(errors) != bool(status):
        return False, f"{platform}: mypy itself failed\n{said}"
    if len(errors) > most:
        return False, "\n".join([*errors, f"{platform}: {len(errors)} errors, {most} are allowed: {ADVICE}"])
    fewer = f"; write {len(errors)} into pyproject.toml" if len(errors) < most else ""
    return True, f"{platform}: {len(errors)} of {most} allowed errors{fewer}"


def main() -> int:
    running = {platform: begun(platform) for platform in allowed()}
    good = True
    for platform, process in running.items():
        said, _ = process.communicate()
        fine, words = verdict(platform, said, process.returncode, allowed()[platform])
        print(words)
        good = good and fine
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
