"""Carries out the steps of a rotation (auth/secret_rotation): asks BioT, writes the files (auth/rotation_files)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, TypeVar

import msgspec

from biot_sidecar.auth.issued_token import IssuedToken
from biot_sidecar.auth.login_failure import LoginFailure
from biot_sidecar.auth.rotation_files import RotationFailed, RotationFiles
from biot_sidecar.auth.secret_keys import (
    KEYS_PATH,
    SELF_PATH,
    NewKey,
    Refusal,
    SecretKey,
    list_keys,
    read_created,
    read_deleted,
    read_keys,
)
from biot_sidecar.auth.secret_rotation import (
    ONLY,
    UNKNOWN,
    OnDisk,
    SoFar,
    Step,
    is_gone,
    is_near_its_end,
    key_in_use,
    must_stay,
    next_step,
)
from biot_sidecar.auth.token import bearer
from biot_sidecar.durations import show_duration
from biot_sidecar.errors import UpstreamError
from biot_sidecar.http.interfaces import Fetch
from biot_sidecar.settings.secret import Secret
from biot_sidecar.timestamps import iso

TIMEOUT_SECONDS: Final = 10.0
RESPONSE_LIMIT_BYTES: Final = 256 * 1024
SETTLE_SECONDS: Final = 3.0
"""Between the two tries to log in with a key that has just been made."""

Result = TypeVar("Result")
LogIn = Callable[[Secret], Awaitable[IssuedToken | LoginFailure]]
Say = Callable[[str, str], None]
"""Hears what was done, and what failed: a level of the log, and a sentence."""


class Blocking(Protocol):
    """Does what waits for the disk, where nobody waits for it."""

    async def __call__(self, work: Callable[[], Result], /) -> Result: ...


class Rotation:
    """One run. `named` is the id that --delete names, `grace` is seconds; `token` is an Authorization value in hand.

    `wall` tells seconds since the epoch.
    """

    def __init__(
        self,
        files: RotationFiles,
        fetch: Fetch,
        log_in: LogIn,
        *,
        blocking: Blocking,
        wall: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        say: Say,
        grace: float,
        named: str = "",
        token: bytes = b"",
    ) -> None:
        self._files = files
        self._fetch = fetch
        self._log_in = log_in
        self._blocking = blocking
        self._wall = wall
        self._sleep = sleep
        self._say = say
        self._grace = grace
        self._named = named
        self._token = token
        self._keys: tuple[SecretKey, ...] | None = None  # as BioT told them before a key was made
        self._untold = ""  # why BioT did not tell them
        self._asked = False
        self._so_far = SoFar()
        self._in_use = UNKNOWN
        self._file_logs_in: bool | None = None  # None: not tried
        self.in_force = False  # the new key is

    # ---- the run

    async def run(self, *, only_known_within: float | None = None) -> None:
        """Go on where the files say, to the end. Raises RotationFailed: the old key stays in force, unless `in_force`.

        `only_known_within`: make a key only where the id of FILE's key is known and it ends within so many seconds.
        """
        disk = await self._look()
        self._so_far = SoFar(goes_on=disk.begun)
        self.in_force = disk.begun and not disk.new
        if self.in_force and self._named not in ("", disk.old_id):
            self._say("warning", f"--delete {self._named} is not looked at: no key is replaced now")
        if not self.in_force:
            await self._blocking(self._files.prove_replaceable)
        if not disk.begun and not await self._may_begin(disk, only_known_within):
            return
        while (step := self._next(disk)) not in (Step.DONE, Step.WAIT):
            await self._do(step, disk)
            disk = await self._look()
        if step is Step.WAIT:
            when = iso(disk.old_since + self._grace, "seconds")
            self._say("info", f"the old secret key {disk.old_id} is deleted by a run after {when}")

    async def describe(self) -> list[str]:
        """What run() would do, a line each; nothing is changed. Raises RotationFailed."""
        disk = await self._look()
        path = self._files.path
        if disk.begun and not disk.new:
            late = " once the grace has passed" if self._grace else ""
            old = f"delete the old one, {disk.old_id},{late}" if disk.old_id else f"note the id of the one in {path}"
            return [f"would make no secret key, and {old}".rstrip(",")]
        await self._blocking(self._files.check_replaceable)
        await self._find_in_use(disk)
        does = f"would go on with {self._files.new}" if disk.new else "would make a new secret key"
        lines = [f"{does}, log in with it, and put it in the place of {path}"]
        old = self._in_use.id or disk.old_id
        if not old:
            return [*lines, f"would delete no key: {self._why_unknown()}"]
        how = f" ({self._in_use.because})" if self._in_use.because else ""
        late = f" in a run {show_duration(self._grace)} later" if self._grace else ""
        return [*lines, f"would delete the old key {old}{how}{late}"]

    async def _may_begin(self, disk: OnDisk, only_known_within: float | None) -> bool:
        await self._find_in_use(disk)
        if only_known_within is None:
            return True
        if not self._in_use.id:
            raise RotationFailed(f"the secret key is not rotated: {self._why_unknown()}")
        return self._keys is not None and is_near_its_end(
            self._in_use.id, self._keys, now=self._wall(), before=only_known_within
        )

    async def _find_in_use(self, disk: OnDisk) -> None:
        await self._learn_keys()
        self._in_use = key_in_use(self._keys, disk, self._named)
        if self._in_use.because == ONLY and not self._has_ended(self._in_use.id) and not await self._try_file():
            self._in_use = UNKNOWN  # the only one is somebody else's
        if self._named and self._in_use.id != self._named:
            raise RotationFailed(f"BioT knows no other secret key {self._named}; there are {self._listed()}")

    def _has_ended(self, identity: str) -> bool:
        """True for a key that nobody can log in with any more."""
        return any(key.id == identity and key.expires <= self._wall() for key in self._keys or ())

    async def _try_file(self) -> bool:
        """True if FILE's secret logs in now, which a token in hand does not tell."""
        if self._file_logs_in is None:
            result = await self._log_in(await self._blocking(lambda: self._files.secret(self._files.path)))
            if isinstance(result, LoginFailure) and not _is_rejected(result):
                raise RotationFailed(f"the login with {self._files.path} failed: {result.text}")
            self._file_logs_in = isinstance(result, IssuedToken)
        return self._file_logs_in

    def _next(self, disk: OnDisk) -> Step:
        return next_step(disk, self._so_far, now=self._wall(), grace=self._grace)

    async def _look(self) -> OnDisk:
        return await self._blocking(self._files.look)

    async def _do(self, step: Step, disk: OnDisk) -> None:
        match step:
            case Step.CREATE:
                await self._create()
            case Step.PROVE:
                await self._prove(disk)
            case Step.NOTE_OLD:
                await self._note_old(disk)
            case Step.REPLACE:
                await self._blocking(self._files.replace)
                self.in_force = True
                self._say("info", f"the new secret key is in {self._files.path}")
            case Step.NOTE_ID:
                await self._blocking(self._files.confirm_id)
            case _:
                await self._delete(disk)

    # ---- the steps

    async def _create(self) -> None:
        if self._in_use.because == ONLY:
            # Should the answer be lost, there are two keys, and still it is known which one FILE holds.
            await self._blocking(lambda: self._files.note_id(self._in_use.id))
        made = read_created(*await self._ask(b"POST", KEYS_PATH, "no new secret key was made"))
        if isinstance(made, Refusal):
            there = f"; there are {self._listed()}" if made.code == "MAX_SECRET_KEYS" else ""
            raise RotationFailed(f"no new secret key was made: {made.reason}{there}")
        self._so_far = SoFar(created=True)
        try:
            await self._blocking(lambda: self._files.keep_new(made.id, made.secret))
        except RotationFailed as error:
            reason = str(error)
        else:
            self._say("info", f"BioT made the secret key {made.id}")
            return
        raise RotationFailed(f"{reason}; {await self._undo(made)}")

    async def _undo(self, made: NewKey) -> str:
        """Take back a key that could not be kept; in words what came of it."""
        told = await self._deleted(made.id)
        if told is not None:
            return f"the new key {made.id}, whose secret is lost, could not be deleted: {told}; delete it"
        await self._blocking(self._files.forget_new_id)
        await self._blocking(self._files.forget_new)
        return f"the new key {made.id} was deleted again"

    async def _prove(self, disk: OnDisk) -> None:
        secret = await self._blocking(lambda: self._files.secret(self._files.new))
        result = await self._log_in(secret)
        if _is_rejected(result) and self._so_far.created:
            await self._sleep(SETTLE_SECONDS)
            result = await self._log_in(secret)
        if isinstance(result, IssuedToken):
            self._token = bearer(result.jwt)
            self._so_far = msgspec.structs.replace(self._so_far, proven=True)
            return
        if _is_rejected(result) and not self._so_far.created:
            await self._discard(disk)
        raise RotationFailed(
            f"the login with the new key failed: {result.text} It stays in {self._files.new}; run this again"
        )

    async def _discard(self, disk: OnDisk) -> None:
        """BioT rejects FILE.new, of another run: if it takes FILE, FILE.new is of no use. Raises RotationFailed."""
        await self._log_in_with_file()
        if disk.new_id and (told := await self._deleted(disk.new_id)) is not None:
            self._say("warning", f"the key {disk.new_id} could not be deleted: {told}")
        await self._blocking(self._files.forget_new_id)
        await self._blocking(self._files.forget_new)
        raise RotationFailed(
            f"BioT rejects the key in {self._files.new}, so it was removed; the one in {self._files.path} is in "
            "force. Run this again to make another"
        )

    async def _note_old(self, disk: OnDisk) -> None:
        if not self._in_use.id:
            await self._find_in_use(disk)
        # Where another run noted it, that was known better than now.
        old = self._in_use.id or disk.old_id
        await self._blocking(lambda: self._files.note_old(old))
        self._so_far = msgspec.structs.replace(self._so_far, noted=True)
        if not old:
            self._say("warning", f"no old key is deleted: {self._why_unknown()}")

    async def _delete(self, disk: OnDisk) -> None:
        old = disk.old_id
        try:
            await self._learn_keys()
            if is_gone(old, self._keys):
                self._say("info", f"BioT has no secret key {old} any more")
            elif why := must_stay(old, disk, self._known_keys(disk)):
                self._say("warning", f"the secret key {old} is not deleted: {why}")
            elif (told := await self._deleted(old)) is None:
                self._say("info", f"the old secret key {old} is deleted")
            else:
                raise RotationFailed(told)
        except RotationFailed as error:
            reason = str(error)
        else:
            await self._blocking(self._files.forget_old)
            return
        raise OldKeyStays(f"the new secret key is in force, but the old one, {old}, is not deleted: {reason}")

    def _known_keys(self, disk: OnDisk) -> Sequence[SecretKey] | None:
        """As BioT told them, and the one that this run has made."""
        if self._keys is None or not self._so_far.created:
            return self._keys
        return (*self._keys, SecretKey(disk.key_id, None, float("inf")))

    # ---- BioT

    async def _learn_keys(self) -> None:
        """Ask BioT for its keys, once; they stay unknown where it does not tell."""
        if self._asked:
            return
        failing = "the service user's secret keys are not known"
        status, body = await self._ask(b"GET", SELF_PATH, failing)
        told = read_keys(status, body)
        if not isinstance(told, Refusal):
            self._keys = told
        elif status in (403, 404):  # a service user may do without this
            self._untold = told.reason
        else:
            raise RotationFailed(f"{failing}: {told.reason}")
        self._asked = True

    async def _deleted(self, identity: str) -> str | None:
        """None once BioT has no such key any more, else why it has."""
        try:
            told = read_deleted(*await self._ask(b"DELETE", b"%b/%b" % (KEYS_PATH, identity.encode()), ""))
        except RotationFailed as error:
            return str(error)
        return None if told is None else told.reason

    async def _ask(self, method: bytes, path: bytes, failing: str) -> tuple[int, bytes]:
        if not self._token:
            await self._log_in_with_file()
        fields = [(b"Authorization", self._token)]
        reason = ""
        try:
            response = await self._fetch(method, path, fields, b"", timeout=TIMEOUT_SECONDS, limit=RESPONSE_LIMIT_BYTES)
        except UpstreamError as error:
            reason = error.message.rstrip(".")
        else:
            return response.status, response.body
        may = "; one may have been made, look at the service user's keys" if method == b"POST" else ""
        raise RotationFailed(f"{failing}: {reason}{may}" if failing else reason)

    async def _log_in_with_file(self) -> None:
        secret = await self._blocking(lambda: self._files.secret(self._files.path))
        result = await self._log_in(secret)
        if isinstance(result, LoginFailure):
            raise RotationFailed(f"the login with {self._files.path} failed: {result.text}")
        self._token = bearer(result.jwt)
        self._file_logs_in = True

    def _why_unknown(self) -> str:
        if self._keys is None:
            return f"it is not known which one is in use ({self._untold})"
        return f"it is not known which one is in use; there are {self._listed()}"

    def _listed(self) -> str:
        return list_keys(self._keys or (), self._wall()) or "others, which BioT does not tell"


class OldKeyStays(RotationFailed):
    """The new key is in force, and the old one could not be deleted."""


def _is_rejected(result: IssuedToken | LoginFailure) -> bool:
    """True where BioT says that the id or the secret is wrong."""
    return isinstance(result, LoginFailure) and result.outcome == "rejected"
