"""The secret's source: the environment once, or a file that is read again and may change at any time."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from biot_sidecar.auth.secret_source import SecretSource, UnreadableSecret
from biot_sidecar.settings.secret import Secret


def from_file(file: Path) -> SecretSource:
    return SecretSource(SimpleNamespace(secret=None, secret_file=str(file)))  # type: ignore[arg-type]


def write(file: Path, content: bytes) -> None:
    """As a mounted secret changes: a new file in the old one's place."""
    new = file.with_suffix(".new")
    new.write_bytes(content)
    os.replace(new, file)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "secret"


def test_what_stands_around_the_files_secret_is_warned_about_once_until_it_changes(file):
    warnings: list[str] = []
    write(file, b" one")
    at_start = (
        "BIOT_SERVICE_USER_SECRET_KEY_FILE: the secret begins or ends with blanks, which are sent to BioT as part of it"
    )
    settings = SimpleNamespace(secret=None, secret_file=str(file))
    source = SecretSource(settings, warnings.append, [at_start])  # type: ignore[arg-type]
    source.read()
    source.read()
    assert warnings == []
    write(file, b'"two"')
    source.read()
    source.read()
    assert [warning.partition(": ")[2][:27] for warning in warnings] == ["the secret stands in quotes"]
    write(file, b"three")
    source.read()
    write(file, b'"two"')
    source.read()
    assert len(warnings) == 2


def test_a_secret_of_the_environment_never_changes():
    source = SecretSource(SimpleNamespace(secret=Secret("s\n"), secret_file=None))  # type: ignore[arg-type]
    assert source.read() == Secret("s\n")
    assert not source.changed()


def test_the_file_is_read_again_each_time(file):
    write(file, b"one")
    source = from_file(file)
    assert source.read() == Secret("one")
    write(file, b"two")
    assert source.read() == Secret("two")


def test_it_has_changed_when_it_holds_another_secret_and_until_that_was_read(file):
    write(file, b"one")
    source = from_file(file)
    source.read()
    assert not source.changed()
    write(file, b"two")
    assert source.changed()
    assert source.changed()
    source.read()
    assert not source.changed()


def test_the_same_secret_written_anew_is_no_change(file):
    write(file, b"one")
    source = from_file(file)
    source.read()
    write(file, b"one\n")
    assert not source.changed()


def test_there_and_back_again_is_no_change(file):
    write(file, b"one")
    source = from_file(file)
    source.read()
    write(file, b"two")
    assert source.changed()
    write(file, b"one")
    assert not source.changed()


def test_a_file_that_is_gone_for_a_moment_is_no_change_until_it_comes_back_with_another_secret(file):
    write(file, b"one")
    source = from_file(file)
    source.read()
    file.unlink()
    assert not source.changed()
    with pytest.raises(UnreadableSecret):
        source.read()
    assert not source.changed()
    write(file, b"one")
    assert not source.changed()
    file.unlink()
    write(file, b"two")
    assert source.changed()


def test_it_says_what_makes_another_secret_count(file):
    assert from_file(file).remedy.endswith("is taken at once")
    of_environment = SecretSource(SimpleNamespace(secret=Secret("s"), secret_file=None))  # type: ignore[arg-type]
    assert of_environment.remedy == "another BIOT_SERVICE_USER_SECRET_KEY needs a restart"


def test_a_file_that_can_be_read_again_is_told_once_even_with_the_secret_of_before(file):
    """It may have been away for a moment, while something replaced it."""
    write(file, b"one")
    source = from_file(file)
    source.read()
    assert not source.recovered()
    file.unlink()
    with pytest.raises(UnreadableSecret):
        source.read()
    assert not source.recovered()
    write(file, b"")
    assert not source.recovered()
    write(file, b"one")
    assert source.recovered()
    assert not source.recovered()
    source.read()
    write(file, b"two")
    assert not source.recovered()


def test_a_file_whose_mode_was_mended_is_another_one(file):
    write(file, b"one")
    before = SecretSource._look(from_file(file))
    file.chmod(0o640)
    assert SecretSource._look(from_file(file)) != before


def test_a_copy_that_keeps_time_and_size_is_noticed(file):
    write(file, b"one")
    source = from_file(file)
    source.read()
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    file.write_bytes(b"two")
    os.utime(file, ns=times)
    assert source.changed()
