"""`biot-sidecar init`: a routes file of one's own, and the schema that editors check it by."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from biot_sidecar.errors import BadSettings
from biot_sidecar.regular_file import read_file
from biot_sidecar.settings.names import ROUTES
from biot_sidecar.settings.routes_path import brought
from biot_sidecar.settings.table import DEFAULTS

if TYPE_CHECKING:
    import argparse

FOLDER, FILE = os.path.split(DEFAULTS[ROUTES])
FILES = (FILE, "routes.schema.json")
_LARGEST = 1024 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It has none: where the files go is where `serve` looks for them."""


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """0 if anything was written, 1 if all was there already, which stays as it is. Raises BadSettings."""
    written = [_write(name) for name in FILES]
    if env.get(ROUTES, "").strip():
        print(f"{ROUTES} is set, so {env[ROUTES].strip()} is the routes file that counts")
    return 0 if any(written) else 1


def _write(name: str) -> bool:
    """Write one of the files, unless it is there. Raises BadSettings."""
    path = os.path.join(FOLDER, name)
    try:
        content = read_file(brought(name), _LARGEST)
        os.makedirs(FOLDER, exist_ok=True)
        _create(path, content)
    except FileExistsError:
        if os.path.lexists(path):
            print(f"{path} is there already and stays as it is")
            return False
        reason = f"{FOLDER} is no folder"
    except OSError as error:
        reason = error.strerror or "the program brings none"
    else:
        print(f"{path} is written")
        return True
    raise BadSettings([f"{path}: cannot be written: {reason}"])


def _create(path: str, content: bytes) -> None:
    """A new file, whole or not at all. Raises FileExistsError for one that is there, a dangling link too."""
    with open(path, "xb") as file:
        try:
            file.write(content)
            file.flush()
        except OSError:
            os.unlink(path)
            raise
