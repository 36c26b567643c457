"""How a secret key is replaced by a new one: which step comes next, by what is on disk and what BioT says.

The secret is in FILE, the new one in FILE.new until it is in force. Each step leaves on disk what the next one needs,
so a rotation that ended anywhere goes on there:

    on disk                      step      does
    nothing                      CREATE    BioT makes a key; FILE.new := its secret, FILE.new-id := its id
    FILE.new                     PROVE     log in with FILE.new
    FILE.new, proven             NOTE_OLD  FILE.old-id := the id of FILE's key, if it is known
    FILE.new, noted              REPLACE   FILE.new becomes FILE, by rename
    FILE.new-id alone            NOTE_ID   FILE.new-id becomes FILE.id: the id of FILE's key
    FILE.old-id                  DELETE    BioT deletes that key, once the grace has passed since the file was written

FILE.new is written before FILE.new-id and goes before it, so FILE.new-id alone names FILE's key. FILE.old-id is
written again by the run that renames: the grace begins when the new key comes into force. The old key works until it is
deleted, so at every moment FILE holds a secret that logs in.

BioT does not tell which key is in use. It is known if it is named (--delete), stands in FILE.id, or is the only one
(and FILE logs in: else the only one is somebody else's).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Final

import msgspec

from biot_sidecar.auth.secret_keys import SecretKey


class Step(Enum):
    """What comes next; WAIT: the old key is deleted later, DONE: nothing."""

    CREATE = "create"
    PROVE = "prove"
    NOTE_OLD = "note_old"
    REPLACE = "replace"
    NOTE_ID = "note_id"
    DELETE = "delete"
    WAIT = "wait"
    DONE = "done"


class OnDisk(msgspec.Struct, frozen=True, kw_only=True):
    """What is there beside FILE. Ids are empty where their file is not there, or does not count.

    `old_since` is when FILE.old-id was written, in wall-clock seconds.
    """

    new: bool = False
    new_id: str = ""
    key_id: str = ""
    old_id: str = ""
    old_since: float = 0.0
    changed_since: bool = False  # FILE has been written by somebody else after FILE.old-id

    @property
    def begun(self) -> bool:
        """True where a rotation has begun that did not end."""
        return self.new or bool(self.new_id or self.old_id)


class SoFar(msgspec.Struct, frozen=True, kw_only=True):
    """What this run has done. `goes_on`: it found what another one began, and so makes no key."""

    goes_on: bool = False
    created: bool = False
    proven: bool = False
    noted: bool = False


class InUse(msgspec.Struct, frozen=True):
    """Which key FILE holds: its id, empty if it is not known, and how it is known."""

    id: str
    because: str


UNKNOWN: Final = InUse("", "")
ONLY: Final = "the only one"


def next_step(disk: OnDisk, so_far: SoFar, *, now: float, grace: float) -> Step:
    """`now` in wall-clock seconds, `grace` in seconds."""
    if disk.new:
        if not so_far.proven:
            return Step.PROVE
        return Step.REPLACE if so_far.noted else Step.NOTE_OLD
    if disk.new_id:
        return Step.NOTE_ID
    if disk.old_id:
        return Step.DELETE if not grace or now >= disk.old_since + grace else Step.WAIT
    return Step.DONE if so_far.goes_on or so_far.created else Step.CREATE


def key_in_use(keys: Sequence[SecretKey] | None, disk: OnDisk, named: str) -> InUse:
    """Which of BioT's `keys` FILE holds, before it is replaced; None: BioT did not tell its keys.

    `named` is what --delete names. The key in FILE.new is another one, and an id that BioT does not know is none.
    """
    others = None if keys is None else [key.id for key in keys if key.id and key.id != disk.new_id]
    for identity, because in ((named, "named by --delete"), (disk.key_id, "named in FILE.id")):
        if identity and identity != disk.new_id and (others is None or identity in others):
            return InUse(identity, because)
    # Where FILE.new is there without its id, its key is one of these.
    if others is not None and len(others) == 1 and keys is not None and (disk.new_id or not disk.new):
        return InUse(others[0], ONLY)
    return UNKNOWN


def must_stay(old_id: str, disk: OnDisk, keys: Sequence[SecretKey] | None) -> str:
    """Why the key in FILE.old-id must not be deleted; empty if it may be."""
    if disk.changed_since:
        return "the secret was changed by somebody else since"
    if old_id == disk.key_id:
        return "it is the one that FILE.id names"
    if keys is not None and [key.id for key in keys if key.id] == [old_id]:
        return "it is the only one"
    return ""


def is_gone(old_id: str, keys: Sequence[SecretKey] | None) -> bool:
    """True where BioT has told its keys, and this is none of them."""
    return keys is not None and all(key.id for key in keys) and old_id not in {key.id for key in keys}


def is_near_its_end(identity: str, keys: Sequence[SecretKey], *, now: float, before: float) -> bool:
    """True if this key ends within `before` seconds."""
    return any(key.id == identity and key.expires - now <= before for key in keys)
