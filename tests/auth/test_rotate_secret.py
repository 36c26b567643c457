"""Rotations against a BioT in memory and real files: the way to the end, being killed anywhere, and what may fail."""

from __future__ import annotations

import json
import os
import stat
import time

import pytest
from biot_sidecar.auth.rotation_files import RotationFailed, RotationFiles

from tests.support.rotation_world import FIRST, Killed, World

STEPS_MOST = 120


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch, time.time())


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_a_new_key_takes_the_place_of_the_old_one_which_is_deleted(world):
    await world.run()
    assert world.file.read_text() == "canary-2"
    assert world.biot.secrets == {"key-2": "canary-2"}
    assert world.beside() == [".id"]
    assert (world.file.parent / "key.id").read_text() == "key-2\n"
    assert world.in_force


async def test_it_is_proven_by_a_login_before_it_takes_the_place(world):
    await world.run()
    assert world.biot.asked == [
        "login",
        "GET /ums/v2/services/self",
        "POST /ums/v2/services/self/secret-keys",
        "login",
        "DELETE /ums/v2/services/self/secret-keys/key-1",
    ]


async def test_the_next_rotation_knows_its_key_among_several(world):
    await world.run()
    world.biot.most = 3
    world.biot.secrets["key-other"] = "somebody's"
    await world.run()
    assert world.biot.secrets == {"key-other": "somebody's", "key-3": "canary-3"}


@pytest.mark.parametrize(
    ("had", "has"), [(0o600, 0o600), (0o400, 0o400), (0o640, 0o640), (0o666, 0o640), (0o755, 0o640)]
)
async def test_its_mode_is_kept_but_never_wider_than_0640(world, had, has):
    world.file.chmod(had)
    await world.run()
    assert mode(world.file) == has
    assert mode(world.file.parent / "key.id") == 0o600


async def test_with_a_grace_the_old_key_is_deleted_by_a_later_run_that_makes_none(world):
    await world.run(grace=3600)
    assert (world.beside(), sorted(world.biot.secrets)) == ([".id", ".old-id"], ["key-1", "key-2"])
    assert mode(world.file.parent / "key.old-id") == 0o600
    await world.run(grace=3600)
    assert (world.in_force, sorted(world.biot.secrets)) == (True, ["key-1", "key-2"])
    world.now += 3700
    await world.run(grace=3600)
    assert (world.beside(), world.biot.secrets) == ([".id"], {"key-2": "canary-2"})


async def test_of_several_unknown_keys_none_is_deleted_and_all_are_named(world):
    world.biot.most = 3
    world.biot.secrets["key-x"] = "somebody's"
    await world.run()
    assert world.in_force
    assert sorted(world.biot.secrets) == ["key-1", "key-2", "key-x"]
    (said,) = [line for line in world.said if "not known" in line]
    assert "key-1, made at " in said
    assert "key-x, made at " in said


async def test_the_key_that_delete_names_goes(world):
    world.biot.most = 3
    world.biot.secrets["key-x"] = "somebody's"
    await world.run(named="key-1")
    assert sorted(world.biot.secrets) == ["key-2", "key-x"]


async def test_delete_of_a_key_that_biot_does_not_know_does_nothing(world):
    with pytest.raises(RotationFailed, match="knows no other secret key key-9; there are key-1"):
        await world.run(named="key-9")
    assert (world.beside(), world.file.read_text(), world.in_force) == ([], FIRST, False)


async def test_an_id_beside_a_file_that_was_changed_since_does_not_count(world):
    await world.run()
    world.biot.most = 3
    world.biot.secrets["key-hand"] = "by hand"
    world.file.write_text("by hand")
    os.utime(world.file, ns=(world.file.stat().st_mtime_ns + 10**9,) * 2)
    await world.run()
    assert sorted(world.biot.secrets) == ["key-2", "key-3", "key-hand"]


async def test_an_old_key_is_not_deleted_once_the_file_was_changed(world):
    """Who puts the old secret back needs its key."""
    await world.run(grace=3600)
    world.file.write_text(FIRST)
    os.utime(world.file, ns=(world.file.stat().st_mtime_ns + 10**9,) * 2)
    await world.run()
    assert sorted(world.biot.secrets) == ["key-1", "key-2"]
    assert any("key-1 is not deleted" in line for line in world.said)
    assert world.works()


async def test_the_only_key_is_never_deleted(world):
    (world.file.parent / "key.old-id").write_text("key-1\n")
    await world.run()
    assert world.biot.secrets == {"key-1": FIRST}


async def test_the_only_key_is_not_the_files_where_the_file_does_not_log_in(world):
    """Somebody deleted the file's key and made another, for himself; a token of before is still good."""
    world.biot.secrets = {"key-other": "somebody's"}
    rotation = world.process(token=b"Bearer a.b.c")
    with pytest.raises(RotationFailed, match="not known which one is in use"):
        await rotation.run(only_known_within=7 * 86_400.0)
    (world.file.parent / "key.new").write_text("left")
    (world.file.parent / "key.new-id").write_text("key-2")
    world.biot.secrets["key-2"] = "left"
    await world.run()
    assert (world.file.read_text(), sorted(world.biot.secrets)) == ("left", ["key-2", "key-other"])


async def test_a_key_that_ended_a_moment_ago_is_replaced_with_a_token_of_before(world):
    world.biot.ends["key-1"] = world.now - 5
    rotation = world.process(token=b"Bearer a.b.c")
    await rotation.run(only_known_within=7 * 86_400.0)
    assert world.biot.secrets == {"key-2": "canary-2"}


# ---- killed


async def killed(world: World, at: int, **more) -> bool:
    """True if the process was killed before the step of this number; False if it came to its end."""
    try:
        await world.run(at, **more)
    except Killed:
        return True
    return False


async def finished(world: World) -> None:
    """Run it again until it comes to its end, as cron would."""
    for _ in range(3):
        try:
            await world.run()
        except RotationFailed:
            continue
        if not [name for name in world.beside() if name in (".new", ".new-id", ".old-id")]:
            return


def judge(world: World, at: object) -> None:
    """Whatever happened: FILE works, is nobody else's, and what is left beside it is known."""
    assert world.works(), at
    assert mode(world.file) == 0o600, at
    assert set(world.beside()) <= {".id", ".lock", ".tmp", ".new", ".new-id", ".old-id"}, at
    for name in world.beside():
        assert mode(world.file.parent / f"key{name}") == 0o600, (at, name)


@pytest.mark.parametrize("grace", [0.0, 3600.0])
async def test_killed_before_any_of_its_steps_it_is_gone_on_with(tmp_path, monkeypatch, grace):
    for at in range(STEPS_MOST):
        folder = tmp_path / str(at)
        folder.mkdir()
        world = World(folder, monkeypatch, time.time())
        world.biot.most = 9
        if not await killed(world, at, grace=grace):
            break
        judge(world, at)
        lost = "canary-2" in world.biot.secrets.values() and "canary-2" not in contents(world)
        await finished(world)
        judge(world, at)
        assert world.file.read_text().startswith("canary-"), at
        assert set(world.beside()) <= {".id"}, at
        # A key whose secret was lost with the answer is nobody's, and stays: it is told, not guessed.
        assert len(world.biot.secrets) == 1 + lost, (at, world.biot.secrets)
    assert 25 < at < STEPS_MOST - 1


def contents(world: World) -> str:
    return " ".join(path.read_text() for path in world.file.parent.iterdir() if not path.name.endswith(".tmp"))


async def test_killed_twice_it_is_gone_on_with_all_the_same(tmp_path, monkeypatch):
    for first in range(12, 60, 3):
        for second in range(0, 40, 3):
            folder = tmp_path / f"{first}-{second}"
            folder.mkdir()
            world = World(folder, monkeypatch, time.time())
            world.biot.most = 9
            await killed(world, first)
            judge(world, (first, second))
            await killed(world, second)
            judge(world, (first, second))
            await finished(world)
            judge(world, (first, second))
            assert set(world.beside()) <= {".id"}, (first, second)


# ---- what may fail


async def test_a_file_that_cannot_be_replaced_costs_no_key(world, monkeypatch):
    rotation = world.process()

    def busy(source: str, target: str) -> None:
        raise OSError(16, "Device or resource busy")

    world.system.replace = busy
    with pytest.raises(RotationFailed, match=r"cannot be replaced, so no key was made: .* mount its folder"):
        await rotation.run()
    assert (world.biot.asked, world.beside(), world.file.read_text()) == ([], [], FIRST)


async def test_a_link_is_not_replaced(world):
    target = world.file.rename(world.file.parent / "target")
    world.file.symlink_to(target)
    with pytest.raises(RotationFailed, match="symbolic link; name the file that it leads to"):
        await world.run()
    assert world.biot.asked == []


async def test_a_full_disk_costs_no_key(world):
    world.system.full = True
    with pytest.raises(RotationFailed, match="No space left on device"):
        await world.run()
    assert (world.biot.asked, world.beside(), world.file.read_text()) == ([], [], FIRST)


@pytest.mark.parametrize("writes", [0, 1])
async def test_a_key_that_cannot_be_kept_is_deleted_again(world, writes):
    """The disk fills up after BioT has made the key: before FILE.new, or before FILE.new-id."""
    rotation = world.process()
    written: list[bytes] = []

    def write(descriptor: int, content: bytes) -> int:
        if world.biot.made > 1 and len(written) >= writes:
            raise OSError(28, "No space left on device")
        if world.biot.made > 1:
            written.append(content)
        return os.write(descriptor, content)

    world.system.write = write
    with pytest.raises(RotationFailed, match="No space left on device; the new key key-2 was deleted again"):
        await rotation.run()
    assert world.biot.secrets == {"key-1": FIRST}
    assert world.beside() == [".id"]
    assert not rotation.in_force
    world.system.full = False
    await world.run()
    assert world.biot.secrets == {"key-3": "canary-3"}


async def test_with_as_many_keys_as_there_may_be_nothing_is_done(world):
    world.biot.secrets["key-x"] = "somebody's"
    with pytest.raises(RotationFailed, match="as many secret keys as it may have") as caught:
        await world.run()
    assert "key-x, made at" in str(caught.value)
    assert (world.beside(), world.works()) == ([], True)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (403, "UMS_SERVICES_SELF_CREATE_SECRET_KEY"),
        (404, "BioT 2.4.3"),
        (405, "BioT 2.4.3"),
        (500, "BioT answered 500"),
        (201, "no key that can be read; one may have been made"),
    ],
)
async def test_without_a_new_key_the_old_one_stays_in_force(world, status, words):
    world.biot.answers[b"POST"] = (status, {})
    with pytest.raises(RotationFailed, match=words):
        await world.run()
    assert (world.beside(), world.file.read_text(), world.in_force) == ([".id"], FIRST, False)


async def test_a_lost_answer_is_told_and_the_next_run_still_knows_which_key_is_in_use(world):
    world.biot.most = 3
    world.biot.away.add(b"POST")
    with pytest.raises(RotationFailed, match="one may have been made"):
        await world.run()
    world.biot.away.clear()
    world.biot.secrets["key-lost"] = "nobody knows"
    await world.run()
    assert sorted(world.biot.secrets) == ["key-2", "key-lost"]


@pytest.mark.parametrize("secret", ["", "two\nlines", "end\n", "nul\0", 7, "x" * 5000])
async def test_a_secret_that_no_file_could_give_back_is_not_kept(world, secret):
    world.biot.answers[b"POST"] = (201, {"id": "key-2", "secretKey": secret})
    with pytest.raises(RotationFailed, match="cannot be kept") as caught:
        await world.run()
    assert not secret or str(secret)[:5] not in str(caught.value)
    assert world.file.read_text() == FIRST


@pytest.mark.parametrize("identity", ["../users", "", "a b", 7, None])
async def test_an_id_that_is_none_is_not_kept(world, identity):
    world.biot.answers[b"POST"] = (201, {"id": identity, "secretKey": "canary"})
    with pytest.raises(RotationFailed, match="cannot be kept"):
        await world.run()


async def test_where_biot_does_not_tell_its_keys_none_is_deleted(world):
    world.biot.answers[b"GET"] = (403, {"code": "ACCESS_DENIED"})
    await world.run()
    assert (world.file.read_text(), sorted(world.biot.secrets)) == ("canary-2", ["key-1", "key-2"])
    assert any("UMS_SERVICES_SELF_GET_SERVICE_USER" in line for line in world.said)
    world.biot.most = 3
    await world.run()
    assert sorted(world.biot.secrets) == ["key-1", "key-3"]


async def test_where_biot_does_not_answer_nothing_is_done(world):
    world.biot.answers[b"GET"] = (500, {})
    with pytest.raises(RotationFailed, match="not known: BioT answered 500"):
        await world.run()
    assert (world.beside(), world.biot.made) == ([], 1)


async def test_an_old_key_that_cannot_be_deleted_is_told_and_the_new_one_is_in_force(world):
    world.biot.answers[b"DELETE"] = (403, {"code": "ACCESS_DENIED"})
    with pytest.raises(
        RotationFailed, match=r"in force, but the old one, key-1, .* UMS_SERVICES_SELF_DELETE_SECRET_KEY"
    ):
        await world.run()
    assert world.in_force
    assert world.beside() == [".id", ".old-id"]
    del world.biot.answers[b"DELETE"]
    await world.run()
    assert (world.beside(), world.biot.secrets) == ([".id"], {"key-2": "canary-2"})


async def test_an_old_key_that_is_gone_already_is_no_failure(world):
    await world.run(grace=3600)
    del world.biot.secrets["key-1"]
    await world.run()
    assert world.beside() == [".id"]


@pytest.mark.parametrize("rejected", [True, False])
async def test_a_new_key_that_does_not_log_in_at_once_waits_in_its_file(world, rejected):
    world.biot.rejects.add("canary-2")
    with pytest.raises(RotationFailed, match="run this again"):
        await world.run()
    assert (world.beside(), world.file.read_text()) == ([".id", ".new", ".new-id"], FIRST)
    if not rejected:
        world.biot.rejects.clear()
        await world.run()
        assert world.biot.secrets == {"key-2": "canary-2"}
        return
    with pytest.raises(RotationFailed, match=r"rejects the key in .* another"):
        await world.run()
    assert (world.beside(), world.biot.secrets) == ([".id"], {"key-1": FIRST})
    await world.run()
    assert world.biot.secrets == {"key-3": "canary-3"}


async def test_a_locked_user_costs_no_key(world):
    (world.file.parent / "key.new").write_text("left")
    world.biot.locked = True
    with pytest.raises(RotationFailed, match="SERVICE_LOCKED"):
        await world.run()
    assert ".new" in world.beside()


async def test_a_key_left_in_a_file_goes_on_even_if_the_old_one_has_ended(world):
    (world.file.parent / "key.new").write_text("left")
    world.biot.secrets["key-2"] = "left"
    world.biot.ends["key-1"] = world.now - 5
    await world.run()
    assert world.file.read_text() == "left"
    assert world.in_force


async def test_a_rejected_secret_rotates_nothing(world):
    world.file.write_text("wrong")
    with pytest.raises(RotationFailed, match="LOGIN_FAILED"):
        await world.run()
    assert (world.beside(), world.biot.made) == ([], 1)


@pytest.mark.parametrize("content", ["", "../../x", "two words", "x" * 200])
async def test_a_file_that_holds_no_id_is_named(world, content):
    (world.file.parent / "key.old-id").write_text(content)
    with pytest.raises(RotationFailed, match=r"key.old-id does not hold a secret key's id"):
        await world.run()
    assert world.biot.asked == []


async def test_only_one_process_rotates_at_a_time(world):
    busy = pytest.raises(RotationFailed, match="another process is rotating")
    with RotationFiles(str(world.file)).locked(), busy:
        await world.run()
    await world.run()
    assert world.in_force


# ---- by itself, and only told


@pytest.mark.parametrize(("days", "rotated"), [(8, False), (6, True), (-1, True), (None, False)])
async def test_by_itself_only_a_key_near_its_end_is_rotated(world, days, rotated):
    if days is not None:
        world.biot.ends["key-1"] = world.now + days * 86_400
    if days == -1:
        world.biot.accepts = lambda secret: True  # a token in hand outlives its key
    await world.run(within=7 * 86_400.0)
    assert (world.file.read_text() != FIRST) == rotated


async def test_by_itself_an_unknown_key_is_not_rotated(world):
    world.biot.most = 3
    world.biot.secrets["key-x"] = "somebody's"
    with pytest.raises(RotationFailed, match="not rotated: it is not known which one is in use"):
        await world.run(within=7 * 86_400.0)
    assert world.biot.made == 1


async def test_by_itself_anothers_end_is_no_reason(world):
    await world.run()
    world.biot.most = 3
    world.biot.secrets["key-x"] = "somebody's"
    world.biot.ends["key-x"] = world.now + 60
    await world.run(within=7 * 86_400.0)
    assert world.biot.made == 2


@pytest.mark.parametrize("grace", [0.0, 3600.0])
async def test_what_would_be_done_is_told_and_nothing_is(world, grace):
    before = world.file.stat()
    told = await world.process(grace=grace).describe()
    assert told[0].startswith("would make a new secret key, log in with it, and put it in the place of ")
    assert told[1] == "would delete the old key key-1 (the only one)" + (" in a run 1h later" if grace else "")
    assert (world.beside(), world.biot.made, world.file.stat().st_ino) == ([], 1, before.st_ino)
    await world.run(grace=3600)
    assert await world.process().describe() == ["would make no secret key, and delete the old one, key-1"]


async def test_it_is_told_that_no_key_would_be_deleted(world):
    world.biot.secrets["key-x"] = "somebody's"
    told = await world.process().describe()
    assert told[1].startswith("would delete no key: it is not known which one is in use; there are key-1, made at ")


async def test_no_secret_is_ever_said(world):
    for at in (*range(5, 60, 9), None):
        try:
            await world.run(at)
        except (Killed, RotationFailed) as error:
            world.said.append(str(error))
        assert not [line for line in world.said if "canary" in line or FIRST in line]
    assert json.dumps(world.said)
