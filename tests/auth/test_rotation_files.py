"""What stands beside a secret's file: what of it counts, whose it is, and what a write leaves behind."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path

import pytest
from biot_sidecar.auth.rotation_files import RotationFailed, RotationFiles
from biot_sidecar.auth.secret_rotation import OnDisk
from biot_sidecar.settings.secret import Secret

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
SOMEBODY = 4321
ACCESS_LIST = "system.posix_acl_access"


@pytest.fixture
def file(tmp_path) -> Path:
    path = tmp_path / "key"
    path.write_text("secret")
    path.chmod(0o640)
    return path


def beside(file: Path, name: str) -> Path:
    return file.with_name(f"key.{name}")


def owner(path: Path) -> int:
    return path.stat().st_uid


def test_nothing_beside_it_is_nothing_begun(file):
    assert RotationFiles(str(file)).look() == OnDisk()
    assert not RotationFiles(str(file)).begun()


def test_what_is_there_is_seen(file):
    files = RotationFiles(str(file))
    files.keep_new("key-2", Secret("new"))
    files.note_id("key-1")
    files.note_old("key-1")
    disk = files.look()
    assert (disk.new, disk.new_id, disk.key_id, disk.old_id) == (True, "key-2", "key-1", "key-1")
    assert disk.old_since == beside(file, "old-id").stat().st_mtime
    assert files.begun()
    assert files.secret(files.new) == Secret("new")


def test_a_new_secret_is_private_until_it_takes_the_place(file):
    files = RotationFiles(str(file))
    files.keep_new("key-2", Secret("new"))
    assert stat.S_IMODE(beside(file, "new").stat().st_mode) == 0o600
    files.replace()
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("new", 0o640)
    files.confirm_id()
    assert files.look() == OnDisk(key_id="key-2")


def test_without_its_id_the_one_of_before_goes(file):
    files = RotationFiles(str(file))
    files.note_id("key-1")
    beside(file, "new").write_text("by hand")
    files.replace()
    assert not beside(file, "id").exists()


def test_a_proof_changes_nothing_that_anybody_could_see(file):
    file.chmod(0o604)
    os.utime(file, ns=(10**18, 10**18))
    before = file.stat()
    RotationFiles(str(file)).prove_replaceable()
    after = file.stat()
    assert after.st_ino != before.st_ino
    assert (after.st_mode, after.st_uid, after.st_gid, after.st_mtime_ns) == (
        *(before.st_mode, before.st_uid, before.st_gid),
        before.st_mtime_ns,
    )
    assert file.read_text() == "secret"


@NEEDS_ROOT
@pytest.mark.parametrize("name", ["new", "new-id", "id", "old-id"])
def test_what_another_user_put_there_is_not_trusted(file, name):
    beside(file, name).write_text("key-9")
    os.chown(beside(file, name), SOMEBODY, -1)
    with pytest.raises(RotationFailed, match=f"belongs to another user .uid {SOMEBODY}., so it is not trusted"):
        RotationFiles(str(file)).look()


@NEEDS_ROOT
def test_root_leaves_nothing_that_the_files_own_user_could_not_go_on_with(file):
    os.chown(file, SOMEBODY, SOMEBODY)
    files = RotationFiles(str(file))
    with files.locked():
        assert owner(beside(file, "lock")) == SOMEBODY
        files.prove_replaceable()
        files.keep_new("key-2", Secret("new"))
        files.note_old("key-1")
    assert {owner(path) for path in file.parent.iterdir()} == {SOMEBODY}
    files.replace()
    assert (owner(file), file.stat().st_gid) == (SOMEBODY, SOMEBODY)


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="this system tells nothing of access lists")
def test_the_access_list_of_the_file_is_kept(file):
    """acl(5): the owner rw, SOMEBODY r, the group r, a mask of r, others nothing."""
    nobody = 2**32 - 1
    entries = [(1, 6, nobody), (2, 4, SOMEBODY), (4, 4, nobody), (16, 4, nobody), (32, 0, nobody)]
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    try:
        os.setxattr(file, ACCESS_LIST, acl)
    except OSError:
        pytest.skip("this file system has no access lists")
    files = RotationFiles(str(file))
    files.prove_replaceable()
    assert os.getxattr(file, ACCESS_LIST) == acl
    files.keep_new("key-2", Secret("new"))
    files.replace()
    assert (file.read_text(), os.getxattr(file, ACCESS_LIST)) == ("new", acl)


def test_the_lock_goes_with_its_holder(file):
    files = RotationFiles(str(file))
    with files.locked(), pytest.raises(RotationFailed, match="another process"), RotationFiles(str(file)).locked():
        pass
    assert not beside(file, "lock").exists()
    beside(file, "lock").write_text("left by one that was killed")
    with files.locked():
        pass
    assert not beside(file, "lock").exists()


def test_a_file_that_is_gone_is_told(file):
    file.unlink()
    files = RotationFiles(str(file))
    for step in (files.prove_replaceable, files.replace, files.confirm_id, files.check_replaceable):
        with pytest.raises(RotationFailed):
            step()
    with pytest.raises(RotationFailed), files.locked():
        pass
