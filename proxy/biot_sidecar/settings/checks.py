"""What must hold between settings, or of the files that they name: each check tells the reader what is wrong or odd."""

from __future__ import annotations

import contextlib
import re
from typing import Final

from biot_sidecar.platform import WHY_NO_UNIX_SOCKETS, WHY_NO_WORKERS
from biot_sidecar.settings.addresses import is_loopback, leads_to
from biot_sidecar.settings.ca_file import ca_file_problem
from biot_sidecar.settings.names import (
    ADMIN_LISTEN,
    ALLOW_PLAIN_HTTP,
    ALLOW_REMOTE,
    ALLOWED_UIDS,
    BASE_URL,
    CA_FILE,
    EXTRA_CA_FILE,
    INSPECT,
    LISTEN,
    ROTATE_BEFORE,
    SECRET,
    SECRET_COMMAND,
    SECRET_FILE,
    SECRET_KEY_CHECK,
    SIMULATOR_LISTEN,
    TOKEN_STORE,
    USER_ID,
    WORKERS,
)
from biot_sidecar.settings.reader import Reader
from biot_sidecar.settings.secret_command import command_problem, odd_about_command
from biot_sidecar.settings.secret_file import (
    UnreadableSecret,
    odd_about_secret,
    read_secret,
    secret_file_problem,
    why_not_replaceable,
)
from biot_sidecar.settings.users import why_callers_unknown
from biot_sidecar.settings.values import ListenAddress, UpstreamUrl

_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")


def check_all(reader: Reader) -> None:
    """Everything that `serve` needs."""
    check_ca_files(reader)
    check_user_id(reader)
    check_secret(reader)
    check_rotation(reader)
    check_plain_http(reader)
    check_remote(reader, LISTEN, SIMULATOR_LISTEN)
    check_callers(reader)
    check_listeners(reader)
    check_system(reader)


def check_ca_files(reader: Reader) -> None:
    for name in (CA_FILE, EXTRA_CA_FILE):
        if path := reader.value(name):
            reason, odd = ca_file_problem(path)
            if reason:
                reader.problem(name, reason)
            if odd:
                reader.warn(name, odd)


def check_user_id(reader: Reader) -> None:
    if not _UUID.fullmatch(reader.text(USER_ID)):
        reader.warnings.append(f"{USER_ID} is not a UUID; BioT's service users have one as their id")


def check_secret(reader: Reader) -> None:
    """There is exactly one source of the secret, and a file gives one, and a command can be run."""
    given = [name for name in (SECRET, SECRET_FILE, SECRET_COMMAND) if reader.text(name)]
    secret, file, command = (reader.value(name) for name in (SECRET, SECRET_FILE, SECRET_COMMAND))
    if not given:
        reader.problem(SECRET, f"is not set; set it or {SECRET_FILE} or {SECRET_COMMAND}")
    elif len(given) > 1:
        both = f"{given[1]} are both" if len(given) == 2 else f"{given[1]} and {given[2]} are all"
        reader.problem(given[0], f"and {both} set; one of them is enough")
    elif command:
        _check_command(reader, command)
    elif file and (reason := secret_file_problem(file)):
        reader.problem(SECRET_FILE, reason)
    else:
        with contextlib.suppress(UnreadableSecret):  # gone since it was found good
            secret = read_secret(file) if file else secret
        if secret is not None and (odd := odd_about_secret(secret)):
            reader.warn(SECRET_FILE if file else SECRET, odd)


def check_rotation(reader: Reader) -> None:
    """A secret that rotates by itself is in a file that can be replaced, and its end is asked for."""
    file = reader.value(SECRET_FILE)
    if not reader.value(ROTATE_BEFORE):
        return
    if not file:
        reader.problem(ROTATE_BEFORE, f"only a secret in a file can be rotated; set {SECRET_FILE}")
    elif not reader.problems and (reason := why_not_replaceable(file)):
        reader.problem(ROTATE_BEFORE, f"{file} cannot be replaced: {reason}")
    if not reader.value(SECRET_KEY_CHECK):
        reader.problem(ROTATE_BEFORE, f"needs {SECRET_KEY_CHECK}=1, which asks when the key ends")
    elif "AWS_LAMBDA_FUNCTION_NAME" in reader.env and not reader.env.get(SECRET_KEY_CHECK, "").strip():
        reader.problem(ROTATE_BEFORE, f"needs {SECRET_KEY_CHECK}, which is off on Lambda; nothing is rotated there")


def _check_command(reader: Reader, words: tuple[str, ...]) -> None:
    if reason := command_problem(words, reader.env):
        text = reader.text(SECRET_COMMAND)
        quoting = "; a backslash quotes what follows it, write / in paths or a JSON array of words"
        reader.problem(SECRET_COMMAND, reason + (quoting if "\\" in text and not text.startswith("[") else ""))
    if odd := odd_about_command(words):
        reader.warn(SECRET_COMMAND, odd)


def check_callers(reader: Reader) -> None:
    """Callers' users are asked for only where the kernel tells them."""
    if reader.text(ALLOWED_UIDS) and (reason := why_callers_unknown(reader.value(LISTEN) or ())):
        reader.problem(ALLOWED_UIDS, reason)


def check_plain_http(reader: Reader) -> None:
    upstream: UpstreamUrl | None = reader.value(BASE_URL)
    allowed = reader.value(ALLOW_PLAIN_HTTP)
    if upstream is not None and not (upstream.tls or allowed or is_loopback(upstream.host.removesuffix("."))):
        reader.problem(
            BASE_URL,
            f"{reader.text(BASE_URL)!r} is plain http: tokens would travel in the clear; use https, or set "
            f"{ALLOW_PLAIN_HTTP}=1",
        )


def check_remote(reader: Reader, *names: str) -> None:
    """Listeners beyond loopback are there only where that is allowed; the admin listener may be anywhere."""
    allowed = reader.value(ALLOW_REMOTE)
    for name in names:
        for address in _addresses(reader, name):
            if not (address.path or allowed or is_loopback(address.host)):
                reader.problem(
                    name,
                    f"{address.host!r} is not loopback: whoever reaches the port acts as the service user; "
                    f"use 127.0.0.1, or set {ALLOW_REMOTE}=1",
                )


def check_listeners(reader: Reader) -> None:
    """No address is listened on twice, and the sidecar is not its own upstream."""
    upstream: UpstreamUrl | None = reader.value(BASE_URL)
    taken: set[ListenAddress] = set()
    ours = [(name, address) for name in (LISTEN, ADMIN_LISTEN) for address in _addresses(reader, name)]
    for name, address in ours:
        if address in taken:
            reader.problem(name, f"{address} is listened on already")
        if address.port or address.path:
            taken.add(address)
    if upstream is not None and (
        port := next((one.port for _, one in ours if leads_to(upstream.host, upstream.port, one)), 0)
    ):
        reader.problem(BASE_URL, f"points at the sidecar itself (port {port})")


def check_system(reader: Reader, no_workers: str = WHY_NO_WORKERS, no_unix: str = WHY_NO_UNIX_SOCKETS) -> None:
    """Nothing is asked for that this system does not have."""
    if no_workers and (reader.value(WORKERS) or 1) > 1:
        reader.problem(WORKERS, f"{no_workers}; leave it at 1")
    if no_unix and (reader.text(TOKEN_STORE) or "").startswith("unix:"):
        reader.problem(TOKEN_STORE, f"{no_unix}; use redis:// or rediss://")
    if no_unix and reader.value(INSPECT):
        reader.problem(INSPECT, f"{no_unix}, and the page is served on one; leave it at 0")


def _addresses(reader: Reader, name: str) -> tuple[ListenAddress, ...]:
    value: tuple[ListenAddress, ...] | ListenAddress | None = reader.value(name)
    return (value,) if isinstance(value, ListenAddress) else value or ()
