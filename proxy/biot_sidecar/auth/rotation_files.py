"""The files of a rotation, beside the secret's FILE: FILE.new, .new-id, .id, .old-id. Written whole, synced, by rename.

Every write is a new file in the same folder that is synced and renamed over its name, and then the folder is synced: at
every moment a name holds the old content or the new one, after a crash too (rename(2), fsync(2)). What stands beside
FILE counts only if it belongs to FILE's owner, to this process's user or to root.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import Final

from biot_sidecar.auth.secret_keys import is_key_id
from biot_sidecar.auth.secret_rotation import OnDisk
from biot_sidecar.platform import OPEN_AS_IT_IS, copy_access_list, lock_file, make_like, own_by, own_uid, sync_folder
from biot_sidecar.regular_file import read_file
from biot_sidecar.settings.secret import Secret
from biot_sidecar.settings.secret_file import UnreadableSecret, read_secret, why_not_replaceable

WIDEST_MODE: Final = 0o640
_PRIVATE: Final = 0o600
_ANY_MODE: Final = 0o7777
_LARGEST_ID: Final = 256


class RotationFailed(Exception):
    """The rotation cannot go on; the text says why, in words for the operator."""


class RotationFiles:
    """The secret's file and what stands beside it. Every method may raise RotationFailed."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.new = f"{path}.new"
        self._new_id = f"{path}.new-id"
        self._id = f"{path}.id"
        self._old_id = f"{path}.old-id"
        self._lock = f"{path}.lock"
        self._temporary = f"{path}.tmp"

    # ---- what is there

    def look(self) -> OnDisk:
        """What stands beside FILE now."""
        file = self._stat(self.path)
        old = self._stat(self._old_id)
        return OnDisk(
            new=self._stat(self.new) is not None,
            new_id=self._read_id(self._new_id),
            key_id=self._trusted_id(file),
            old_id="" if old is None else self._read_id(self._old_id),
            old_since=0.0 if old is None else old.st_mtime,
            changed_since=old is not None and file is not None and file.st_mtime_ns > old.st_mtime_ns,
        )

    def begun(self) -> bool:
        """True where a rotation may have begun that did not end; never raises."""
        return any(map(os.path.lexists, (self.new, self._new_id, self._old_id)))

    def secret(self, path: str) -> Secret:
        try:
            return read_secret(path)
        except UnreadableSecret as error:
            reason = str(error)
        raise RotationFailed(f"{path} cannot be read: {reason}")

    def _trusted_id(self, file: os.stat_result | None) -> str:
        """The id in FILE.id; empty if FILE was written after it: then it may hold another key."""
        named = self._stat(self._id)
        if named is None or file is None or file.st_mtime_ns > named.st_mtime_ns:
            return ""
        return self._read_id(self._id)

    def _read_id(self, path: str) -> str:
        """The id that a file holds; empty if there is no file."""
        if self._stat(path) is None:
            return ""
        with _told(f"{path} cannot be read"):
            text = read_file(path, _LARGEST_ID).decode("ascii", "replace").strip()
        if not is_key_id(text):
            raise RotationFailed(f"{path} does not hold a secret key's id; remove it, or write the id into it")
        return text

    def _stat(self, path: str) -> os.stat_result | None:
        """None if there is no such file."""
        with _told(f"{path} cannot be read"):
            try:
                found = os.lstat(path)
            except FileNotFoundError:
                return None
            if not stat.S_ISREG(found.st_mode):
                link = ": it is a symbolic link; name the file that it leads to" if stat.S_ISLNK(found.st_mode) else ""
                raise RotationFailed(f"{path} is no regular file{link if path == self.path else ''}")
            self._check_owner(path, found)
        return found

    def _check_owner(self, path: str, found: os.stat_result) -> None:
        if path != self.path and found.st_uid not in {0, own_uid(), os.lstat(self.path).st_uid}:
            raise RotationFailed(f"{path} belongs to another user (uid {found.st_uid}), so it is not trusted")

    # ---- one at a time

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """No other process of this machine rotates this file meanwhile."""
        self._stat(self.path)
        with self._acquired():
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    os.unlink(self._lock)

    @contextlib.contextmanager
    def _acquired(self) -> Iterator[None]:
        """FILE.lock, whose lock ends with its process; it is removed by who holds it."""
        flags = os.O_RDWR | os.O_CREAT | OPEN_AS_IT_IS
        while True:
            with _told(f"{self.path} cannot be replaced, since {self._lock} cannot be made"):
                descriptor = os.open(self._lock, flags, _PRIVATE)
            with contextlib.ExitStack() as stack:
                stack.callback(os.close, descriptor)
                with _told(f"{self.path} cannot be replaced"):
                    own_by(descriptor, os.stat(self.path).st_uid)
                if not lock_file(descriptor):
                    raise RotationFailed("another process is rotating this secret now")
                if _is_still(self._lock, descriptor):
                    yield
                    return

    # ---- the steps

    def prove_replaceable(self) -> None:
        """Replace FILE by a copy of itself, which has its owner, its mode and its time. Else nothing is changed."""
        with _told(f"{self.path} cannot be replaced, so no key was made"):
            held = os.lstat(self.path)
            content = read_file(self.path, held.st_size + 1)
            self._write(self.path, content, like=held)

    def check_replaceable(self) -> None:
        """What of that can be told without a change."""
        with _told(f"{self.path} cannot be replaced"):
            if reason := why_not_replaceable(self.path):
                raise RotationFailed(f"{self.path} cannot be replaced: {reason}")

    def keep_new(self, identity: str, secret: Secret) -> None:
        """FILE.new, then FILE.new-id."""
        with _told(f"{self.new} cannot be written"):
            self._write(self.new, secret.reveal().encode())
            self._write(self._new_id, f"{identity}\n".encode())

    def note_id(self, identity: str) -> None:
        """FILE.id := the id of FILE's key."""
        with _told(f"{self._id} cannot be written"):
            self._write(self._id, f"{identity}\n".encode())

    def note_old(self, identity: str) -> None:
        """FILE.old-id, whose time is now; nothing where the id is not known."""
        with _told(f"{self._old_id} cannot be written"):
            if identity:
                self._write(self._old_id, f"{identity}\n".encode())
            else:
                self._remove(self._old_id)

    def replace(self) -> None:
        """FILE.new becomes FILE, with FILE's owner and mode. FILE.id goes first where the new key's id is not known."""
        with _told(f"{self.path} cannot be replaced"):
            held = os.lstat(self.path)
            if self._stat(self._new_id) is None:
                self._remove(self._id)
            descriptor = os.open(self.new, os.O_RDWR | OPEN_AS_IT_IS)
            try:
                copy_access_list(self.path, descriptor)
                make_like(descriptor, held, WIDEST_MODE)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.replace(self.new, self.path)
            self._sync_folder()

    def confirm_id(self) -> None:
        """FILE.new-id becomes FILE.id."""
        with _told(f"{self._id} cannot be written"):
            os.replace(self._new_id, self._id)
            self._sync_folder()

    def forget_old(self) -> None:
        """FILE.old-id goes: there is nothing to delete any more."""
        with _told(f"{self._old_id} cannot be removed"):
            self._remove(self._old_id)

    def forget_new_id(self) -> None:
        with _told(f"{self._new_id} cannot be removed"):
            self._remove(self._new_id)

    def forget_new(self) -> None:
        """FILE.new goes: its key is of no use."""
        with _told(f"{self.new} cannot be removed"):
            self._remove(self.new)

    # ---- on disk

    def _write(self, path: str, content: bytes, like: os.stat_result | None = None) -> None:
        """`like`: with this owner, mode and time; else only this process's user may read it."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._temporary)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | OPEN_AS_IT_IS
        descriptor = os.open(self._temporary, flags, _PRIVATE)
        try:
            try:
                _write_all(descriptor, content)
                if like is not None:
                    copy_access_list(self.path, descriptor)
                    make_like(descriptor, like, _ANY_MODE)
                else:  # root rotates for the sidecar's user, who goes on
                    own_by(descriptor, os.stat(self.path).st_uid)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if like is not None:
                os.utime(self._temporary, ns=(like.st_atime_ns, like.st_mtime_ns))
            os.replace(self._temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(self._temporary)
            raise
        self._sync_folder()

    def _remove(self, path: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
            self._sync_folder()

    def _sync_folder(self) -> None:
        sync_folder(os.path.dirname(self.path) or ".")


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _is_still(path: str, descriptor: int) -> bool:
    """True if the name is still this file's: who held the lock before may have removed it."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _told(what: str) -> Iterator[None]:
    """Turns what the system says into words for the operator."""
    reason = ""
    try:
        yield
    except OSError as error:
        reason = error.strerror or "no reason given"
        if error.errno == errno.EBUSY:  # rename(2) says so of a mount's root
            reason += " (a file that is a mount of its own cannot be; mount its folder)"
    if reason:  # raised here, so that no traceback holds what was written
        raise RotationFailed(f"{what}: {reason}")
