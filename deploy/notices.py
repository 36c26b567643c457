"""Prints the licences of the packages that ship with the sidecar: notices.py ENVIRONMENT > THIRD-PARTY-NOTICES.txt"""

import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

HEADER = """\
biot-sidecar is made with the packages below; images and bundles carry them. Some hold other works in compiled form:
uvloop libuv, httptools llhttp, PyYAML libyaml, cryptography OpenSSL; biot-sidecar itself, where it is compiled, the
runtime of mypyc, which is part of mypy. Made by `make notices`; do not edit.
"""
COMPILER = "mypy"
"""Is not installed where the sidecar is, but its runtime is within what it compiles."""


def main(environment: str) -> None:
    (packages,) = Path(environment).glob("lib/python3*/site-packages")
    shipped = {one.metadata["Name"]: one for one in distributions(path=[str(packages)])}
    shipped[COMPILER] = distribution(COMPILER)
    print(HEADER)
    for name in sorted(shipped.keys() - {"biot-sidecar"}, key=str.lower):
        print("=" * 100)
        print(f"{name} {shipped[name].version}: {licence(shipped[name])}\n")
        print("\n\n".join(texts(shipped[name])) + "\n")


def licence(package: Distribution) -> str:
    """The licence in a few words: an SPDX expression where there is one."""
    fields = package.metadata
    classifiers = [text.rpartition(" :: ")[2] for text in fields.get_all("Classifier", []) if "License ::" in text]
    said = fields.get("License-Expression") or " or ".join(classifiers) or fields.get("License")
    return said or next(texts(package)).partition("\n")[0]


def texts(package: Distribution) -> Iterator[str]:
    """The licence files that a wheel carries in its dist-info/licenses."""
    for file in package.files or []:
        if ".dist-info" in str(file) and "licenses" in file.parts:
            yield Path(file.locate()).read_text(encoding="utf-8").strip()


if __name__ == "__main__":
    main(sys.argv[1])
