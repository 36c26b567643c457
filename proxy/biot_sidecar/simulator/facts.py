"""What BioT's specifications say of each operation: statuses, shapes of bodies, error codes. One table, read once.

biot_facts.json beside this module is written by `python -m tests.facts_of_specs`. Its form:

    operations  METHOD/path -> release, permission, body (a shape), required (the body), query (parameters that must be
                there), answers (status -> shape or null), errors (status -> codes)
    shapes      name -> shape
    details     code -> the names in an error's details

A shape is a word (`string`, `integer`, `number`, `boolean`, `any`, `uuid`, `date`, `date-time`, `email`, `phone`,
`locale`, `timezone`), a reference (`@Name`), or an object: {"is": word, "enum", "pattern", "least", "most"}, {"list":
shape}, {"map": shape}, {"fields": {name: shape}, "must": [names]}. Fields that a shape does not name may be there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from biot_sidecar import simulator
from biot_sidecar.simulator.values import BiotError

Shape = Any
"""A word, a reference or an object, as the module says."""

RELEASE = "2.4.2"
"""The BioT release whose operations are counted."""


@dataclass(frozen=True)
class OperationFacts:
    """What is known of one operation. `answers` and `errors` are by status."""

    key: str
    release: str = ""
    permission: str = ""
    body: Shape = None
    required: bool = False
    query: Sequence[str] = ()
    answers: Mapping[str, Shape] = field(default_factory=dict)
    errors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    multipart: bool = False

    def status_of(self, code: str) -> int | None:
        """The status under which the operation declares an error code; None if it declares it nowhere."""
        return next((int(status) for status, codes in self.errors.items() if code in codes), None)

    def declared(self, *codes: str) -> str:
        """The first of the codes that the operation declares, or an empty text."""
        return next((code for code in codes if self.status_of(code)), "")


@cache
def _table() -> dict[str, Any]:
    with open(f"{simulator.__path__[0]}/biot_facts.json", encoding="ascii") as file:
        table: dict[str, Any] = json.load(file)
    return table


@cache
def operations() -> Mapping[str, OperationFacts]:
    """The facts of every operation, by METHOD/path."""
    return {key: OperationFacts(key, **entry) for key, entry in _table()["operations"].items()}


def facts_of(key: str) -> OperationFacts:
    """The facts of an operation; empty ones for one that no specification has."""
    return operations().get(key) or OperationFacts(key)


def resolved(shape: Shape) -> Shape:
    """The shape behind a reference."""
    while isinstance(shape, str) and shape.startswith("@"):
        shape = _table()["shapes"][shape[1:]]
    return shape


def fields_of(shape: Shape) -> Mapping[str, Shape]:
    """The fields that an object's shape names; none for any other shape."""
    found = resolved(shape)
    fields: Mapping[str, Shape] = found.get("fields", {}) if isinstance(found, dict) else {}
    return fields


def details_of(code: str) -> Sequence[str]:
    """The names in the details of an error code."""
    names: Sequence[str] = _table()["details"].get(code, ())
    return names


def refusal(facts: OperationFacts, code: str, message: str, /, **details: Any) -> BiotError:
    """BioT's error with the status that the operation declares for the code, else 400."""
    return BiotError(facts.status_of(code) or 400, code, message, details)
