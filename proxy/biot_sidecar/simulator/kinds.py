"""What an entity type is to the engine: one frozen description, from which `entities` does everything.

A family of operations (patients, alerts, sessions, ...) is a Kind and the paths of its operations; what only it does
is its `derive`. The attributes that BioT itself knows come from the table of facts (`shape`), the author's own from
the entity's template (`templates`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from biot_sidecar.simulator.facts import fields_of
from biot_sidecar.simulator.store import Collection
from biot_sidecar.simulator.values import Call, Json


class Stored(Protocol):
    """The entities that there are, by kind."""

    def of(self, kind: str) -> Collection: ...


Derive = Callable[[Json, Json | None, Call, Stored], None]
"""Called with an entity about to be stored (to be completed in place), what it was before (None: it is new), the call
and all entities; raises what BioT would refuse."""

Guard = Callable[[Json, Call, Stored], None]
"""Called with an entity about to be deleted; raises what BioT would refuse."""


@dataclass(frozen=True)
class Unique:
    """An attribute whose value only one entity may have, among the entities of all kinds that share the `group`."""

    path: str
    code: str
    detail: str
    group: str = ""


@dataclass(frozen=True)
class Parent:
    """The entity in whose path another one lives: `variable` of the path, `attribute` that refers to it."""

    variable: str
    attribute: str
    kind: str
    missing: str
    missing_detail: str
    wrong: str
    wrong_detail: str


def no_caption(entity: Json) -> str | None:
    return None


def nothing(entity: Json, old: Json | None, call: Call, stored: Stored) -> None:
    """What is derived where a kind has nothing of its own."""


def may_go(entity: Json, call: Call, stored: Stored) -> None:
    """What keeps an entity from being deleted where a kind has nothing of its own."""


def nothing_else(entity: Json, old: Json | None) -> Sequence[str]:
    """What else a change is, to who is notified, where a kind has nothing of its own."""
    return ()


@dataclass(frozen=True, eq=False)
class Kind:
    """An entity type.

    `shape` is the answer's in the table of facts; `template` the name of its first template, empty for what has none;
    `references` say which kinds an attribute may refer to; `mandatory` attributes cannot be taken away by an update;
    `prefix` stands before BioT's own names (`_id`, `id`), of which `id_name` is the id's and `id_detail` what errors
    call it. With `given_id` a create names the id. A change is `also` other actions. `guard` keeps
    an entity from being deleted.
    """

    name: str
    shape: str
    not_found: str
    template: str = ""
    caption: Callable[[Json], str | None] = no_caption
    derive: Derive = nothing
    guard: Guard = may_go
    also: Callable[[Json, Json | None], Sequence[str]] = nothing_else
    references: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unique: Sequence[Unique] = ()
    mandatory: Sequence[str] = ()
    parent: Parent | None = None
    parent_template: str = ""
    given_id: bool = False
    prefix: str = "_"
    id_name: str = "id"
    id_detail: str = "id"
    display: str = ""

    @cached_property
    def blank(self) -> Json:
        """Every attribute that BioT knows, unset."""
        return dict.fromkeys(fields_of("@" + self.shape))

    @property
    def display_name(self) -> str:
        return self.display or self.name.replace("-", " ").title()

    def own(self, name: str) -> str:
        """BioT's own attribute of this name, such as `id`, as this kind writes it."""
        return self.prefix + name

    @property
    def id_attribute(self) -> str:
        """Where the id stands."""
        return self.own(self.id_name)

    def id_of(self, entity: Mapping[str, Any]) -> str:
        return str(entity[self.id_attribute])


OWNER: Mapping[str, Sequence[str]] = {"_ownerOrganization": ("organization",)}
"""The reference that nearly every entity has."""
