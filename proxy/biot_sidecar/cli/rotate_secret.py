"""`biot-sidecar rotate-secret`: a new secret key, proven by a login, takes the place of the service user's old one."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Final

from biot_sidecar.cli.flags import add_setting_flags, flags_of, value_of
from biot_sidecar.cli.standard_streams import OutputLost, discard_stdout, say
from biot_sidecar.durations import parse_days
from biot_sidecar.errors import BadSettings
from biot_sidecar.settings import load
from biot_sidecar.settings.names import SECRET_FILE

_EPILOG: Final = """\
The new key goes into FILE.new, is proven by a login, and takes the place of FILE, the file that
BIOT_SERVICE_USER_SECRET_KEY_FILE names; running sidecars read it with their next login. A run that was interrupted is
gone on with by the next one.

The old key is deleted if it is known: as the only one of the service user, by its id in FILE.id, which each run writes
for the next one, or by --delete ID. Else the keys' ids are told, and all of them stay.

exit status: 0 the new key is in force, 1 the old one is.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _EPILOG
    add_setting_flags(parser, "rotate-secret")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
    parser.add_argument("--delete", metavar="ID", type=_key_id, help="the id of the key that is replaced")
    parser.add_argument(
        "--grace",
        metavar="DURATION",
        default=0.0,
        type=value_of(parse_days),
        help="keep the old key for so long, such as 24h or 7d; a later run deletes it (default 0: at once)",
    )


def run(args: argparse.Namespace, env: Mapping[str, str]) -> int:
    """0 when the new key is in force, 1 when the old one is. Raises BadSettings."""
    settings = load(env, flags_of(args))
    if settings.secret_file is None:
        raise BadSettings([f"{SECRET_FILE}: is not set; only a secret in a file can be rotated"])
    say(*settings.warnings)
    from biot_sidecar.auth.rotation_files import RotationFailed
    from biot_sidecar.process.secret_rotation import RotationByHand  # only once there is something to do

    rotation = RotationByHand(settings, _Teller(), grace=args.grace, named=args.delete or "")
    if not args.dry_run:
        return 0 if rotation.run() else 1
    try:
        print(*rotation.describe(), sep="\n")
    except RotationFailed as error:
        say(str(error))
        return 1
    return 0


class _Teller:
    """Prints what was done, and says what failed; both as errors once the output is lost, which stops nothing."""

    def __init__(self) -> None:
        self._lost = False

    def __call__(self, level: str, message: str) -> None:
        if level == "info" and not self._lost:
            try:
                print(message, flush=True)
                return
            except OutputLost:
                self._lost = True
                discard_stdout()
        say(message)


def _key_id(text: str) -> str:
    from biot_sidecar.auth.secret_keys import is_key_id

    if not is_key_id(text):
        raise argparse.ArgumentTypeError("is no secret key's id")
    return text
