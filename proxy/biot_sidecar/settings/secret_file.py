"""The file that holds the secret: what is part of it, what is odd about it, and why one is of no use."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Final

from biot_sidecar.platform import UNKNOWN_UID, own_uid
from biot_sidecar.regular_file import read_file
from biot_sidecar.settings.names import SECRET_FILE
from biot_sidecar.settings.secret import Secret

SECRET_LIMIT: Final = 64 * 1024
_MARK: Final = "\ufeff"
_QUOTES: Final = frozenset({("'", "'"), ('"', '"'), ("`", "`"), ("\u2018", "\u2019"), ("\u201c", "\u201d")})


class UnreadableSecret(Exception):
    """The secret cannot be read now; the text says why, and nothing of its content. `setting` says where it is."""

    setting = SECRET_FILE


def read_secret(path: str) -> Secret:
    """The secret in a file; a final newline is no part of it. Raises UnreadableSecret."""
    reason = ""
    try:
        text = read_file(path, SECRET_LIMIT + 1).decode("utf-8")
    except OSError as error:
        reason = error.strerror or "no such file"
    except UnicodeDecodeError:
        reason = "it is not UTF-8 text"
    except ValueError:
        reason = "its name holds a NUL character"
    if reason:  # raised here, so that no traceback holds what was read
        raise UnreadableSecret(reason)
    text = without_line_ending(text)
    if not text or len(text) > SECRET_LIMIT:
        raise UnreadableSecret("it is empty" if not text else "it is larger than 64 KiB")
    return Secret(text)


def without_line_ending(text: str) -> str:
    """A secret without its one final line ending, which `echo` and editors add; everything else may belong to it."""
    return text.removesuffix("\n").removesuffix("\r")


def odd_about_secret(secret: Secret) -> str:
    """What stands around a secret and seldom belongs to it, in words that show nothing of it; empty if nothing does."""
    text = secret.reveal()
    rest = text.removeprefix(_MARK)
    odd = ["begins with a byte order mark"] if rest != text else []
    bare = rest.strip()
    if bare != rest:
        odd.append("begins or ends with blanks")
    if len(bare) > 1 and (bare[0], bare[-1]) in _QUOTES:
        odd.append("stands in quotes")
    if any(character < " " for character in bare):
        odd.append("holds control characters or several lines")
    return f"the secret {' and '.join(odd)}, which are sent to BioT as part of it" if odd else ""


def secret_file_problem(path: str) -> str:
    """Why no secret can be read from a file, or nothing."""
    try:
        read_secret(path)
    except UnreadableSecret as error:
        return f"{_shown(path)} cannot be read: {error}"
    return ""


def why_not_replaceable(path: str) -> str:
    """Why another file cannot take the place of this one by rename(2), as far as that can be told; or nothing."""
    folder = os.path.dirname(path) or "."
    if os.path.islink(path):
        return "it is a symbolic link; name the file that it leads to"
    if not os.access(folder, os.W_OK):
        return "its folder cannot be written"
    if os.path.realpath(path) in _mount_points():
        return "it is a mount of its own; mount its folder"
    if own_uid() not in (UNKNOWN_UID, 0, owner := os.lstat(path).st_uid):
        return f"it belongs to another user (uid {owner})"
    return ""


def _mount_points() -> set[str]:
    """Where something is mounted; nothing where the system does not say (proc(5), /proc/self/mountinfo)."""
    with contextlib.suppress(OSError), open("/proc/self/mountinfo", "rb") as file:
        points = [os.fsdecode(line.split(b" ")[4]) for line in file]
        return {re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), point) for point in points}
    return set()


def _shown(path: str) -> str:
    """The path, unless it may be the secret itself, put where its file's path belongs."""
    folder = os.path.dirname(path)
    if folder and "\0" not in folder and os.path.isdir(folder):
        return repr(path)
    return "the file that it names (write its path, not the secret)"
