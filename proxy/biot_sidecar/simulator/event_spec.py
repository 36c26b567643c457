"""How people name an event: `patient._update`, `pre PATCH /organization/v1/users/patients/{id}`, `adapt patient`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from biot_sidecar.simulator.interceptors import ADAPT, POST, PRE
from biot_sidecar.simulator.notifications import ANY, NOTIFIABLE
from biot_sidecar.suggest import suggest

NOTIFICATION: Final = "NOTIFICATION"
TYPES: Final = {"pre": PRE, "post": POST, "adapt": ADAPT}
_METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class EventSpec:
    """`type` is BioT's (NOTIFICATION, PRE_REQUEST, ...). A notification has `entity` and `action`; the others have
    `method` and `path`, an ADAPT_ENTITY perhaps `entity` alone.
    """

    type: str
    entity: str = ""
    action: str = ""
    method: str = ""
    path: str = ""


def parse_event(words: Sequence[str], *, wildcards: bool = False) -> EventSpec:
    """Raises ValueError with what is wrong; `wildcards`: `patient.*` and `*` will do."""
    words = " ".join(words).split()
    if not words:
        raise ValueError(f"which event? {_FORMS}")
    if (kind := TYPES.get(words[0].lower())) is not None:
        return _interceptor(kind, words)
    if len(words) > 1 or not ((wildcards and words[0] == ANY) or "." in words[0]):
        raise ValueError(f"{' '.join(words)!r} is no event; {_FORMS}")
    entity, _, action = words[0].rpartition(".") if "." in words[0] else (ANY, "", ANY)
    if not (wildcards and entity == ANY) and entity not in NOTIFIABLE:
        raise ValueError(f"BioT sends no notifications of {entity!r}{_or(suggest(entity, NOTIFIABLE), NOTIFIABLE)}")
    known = NOTIFIABLE.get(entity, ())
    if action not in known and not (wildcards and action == ANY):
        meant = suggest(action, known) or (f"_{action}" if f"_{action}" in known else None)
        raise ValueError(f"BioT sends no notification {action!r} of {entity}{_or(meant, known)}")
    return EventSpec(NOTIFICATION, entity, action)


_FORMS: Final = "such as patient._update, or pre PATCH /organization/v1/users/patients/{id}, or adapt patient"


def _interceptor(kind: str, words: Sequence[str]) -> EventSpec:
    if kind == ADAPT and len(words) == 2 and re.fullmatch(r"[a-z-]+", words[1]):
        return EventSpec(kind, entity=words[1])
    if len(words) != 3 or words[1].upper() not in _METHODS or not words[2].startswith("/"):
        raise ValueError(f"after {words[0]} come METHOD and PATH, such as PATCH /organization/v1/users/patients/{{id}}")
    return EventSpec(kind, method=words[1].upper(), path=words[2])


def _or(meant: str | None, known: Iterable[str]) -> str:
    return f"; did you mean {meant}?" if meant else f"; there are {', '.join(known)}"
