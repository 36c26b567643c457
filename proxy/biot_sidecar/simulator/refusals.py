"""What BioT answers to a body that it refuses: the table of facts' shapes judge it, the operation's codes name it.

`simulate --lenient` lets such bodies pass with a warning, which names the code and the attribute, never a value.
"""

from __future__ import annotations

from typing import Any

from biot_sidecar.simulator import shapes
from biot_sidecar.simulator.facts import OperationFacts, facts_of, refusal
from biot_sidecar.simulator.history import log
from biot_sidecar.simulator.lenient import NEEDED
from biot_sidecar.simulator.shapes import Problem, problems
from biot_sidecar.simulator.values import BiotError, Call
from biot_sidecar.telemetry.redact import printable

_TYPES = {
    "integer": "INTEGER",
    "number": "DECIMAL",
    "boolean": "BOOLEAN",
    "date": "DATE",
    "date-time": "DATE_TIME",
    "email": "EMAIL",
    "phone": "PHONE",
    "locale": "LOCALE",
    "timezone": "TIMEZONE",
}
_FORMAT_CODES = {"locale": "VALIDATION_LOCALE_NOT_VALID", "timezone": "VALIDATION_TIMEZONE_NOT_VALID"}
_PATTERNS = {"email": shapes.EMAIL_PATTERN, "phone": shapes.PHONE_PATTERN}


def refuse(call: Call, error: BiotError, attribute: str = "") -> None:
    """Raise the error, or only warn of it where the simulator is lenient. The warning names the attribute, unless the
    error is about no single one.
    """
    if not call.lenient:
        raise error
    about = attribute or str(error.details.get("attributeName") or "")
    named = f" [{printable(about)}]" if about else ""
    log.warning("%s: BioT would refuse this: %s%s", call.api_id, error.code, named)


def check_body(call: Call) -> BiotError | None:
    """Refuse a body that does not have the shape that the operation's facts say; returns what was only warned of."""
    facts = facts_of(call.api_id)
    if facts.body is None or (call.body is None and not facts.required):
        return None
    if isinstance(call.body, dict):
        return check_value(call, call.body, facts.body)
    error = BiotError(400, "BAD_REQUEST", "The request body must be a JSON object")
    if call.body is not None:
        raise error
    refuse(call, error, "body")
    check_value(call, {}, facts.body)
    return error


def check_value(call: Call, value: Any, shape: Any, path: str = "") -> BiotError | None:
    """Refuse a value that does not have the shape; `path` is where it stands in the body."""
    facts = facts_of(call.api_id)
    found = sorted(problems(value, shape, path), key=_turn)
    errors = [(problem.path, refusal_of(problem, facts)) for problem in found]
    for about, error in errors:
        if about in NEEDED.get(call.api_id, ()):
            raise error
        refuse(call, error, about)
    return errors[0][1] if errors else None


def _turn(problem: Problem) -> int:
    """What is told first of several problems: what is wrong, then what is missing, the owner last."""
    if problem.kind != shapes.MISSING:
        return 0
    return 2 if problem.path == "_ownerOrganization" else 1


def refusal_of(problem: Problem, facts: OperationFacts) -> BiotError:
    """BioT's error for a problem: the most telling code that the operation declares, else BAD_REQUEST."""
    for code, details in _codes(problem):
        if facts.status_of(code):
            return refusal(facts, code, _message(problem), **details)
    return BiotError(400, "BAD_REQUEST", _message(problem), {"attributeName": problem.path})


def _message(problem: Problem) -> str:
    words = {
        shapes.MISSING: "is mandatory",
        shapes.TYPE: "has a value of another type",
        shapes.ENUM: "has a value that is none of the allowed ones",
        shapes.FORMAT: "has a value of another format",
        shapes.REPEATED: "has a value twice",
    }
    return f"Attribute [{problem.path}] {words.get(problem.kind, 'has a value out of bounds')}"


def _codes(problem: Problem) -> list[tuple[str, dict[str, Any]]]:
    """The codes that tell a problem, the most telling first, with their details."""
    about = {"attributeName": problem.path}
    valued = about | {"value": problem.value}
    mismatch = ("ATTRIBUTE_VALUE_TYPE_MISMATCH", valued | {"type": type_name(problem)})
    match problem.kind:
        case shapes.MISSING:
            return _missing(problem.path)
        case shapes.ENUM:
            allowed = problem.shape["enum"]
            named = {"validEntityTypes": allowed, "invalidEntityType": problem.value}
            actions = {"validActionNames": allowed, "invalidActionName": problem.value}
            special = {
                "entityTypeName": ("INVALID_ENTITY_TYPE_NAME", named),
                "actionName": ("INVALID_ACTION_NAME", actions),
            }
            select = ("SELECT_ATTRIBUTE_INVALID_VALUE", valued | {"allowedValues": allowed})
            return [special.get(problem.path, select), select, mismatch]
        case shapes.FORMAT:
            return [*_format(problem, valued), mismatch]
        case shapes.LEAST:
            return [("VALIDATION_MINIMUM_ALLOWED_VALUE", about | {"minimum": problem.shape["least"]})]
        case shapes.MOST:
            return [("VALIDATION_MAX_ALLOWED_VALUE", about | {"maxValue": problem.shape["most"]})]
        case shapes.LENGTH | shapes.PATTERN:
            return [*_named(problem), ("ATTRIBUTE_REGEX_VALIDATION_FAILED", valued | {"regex": _regex(problem)})]
        case shapes.REPEATED:
            return [("SELECT_ATTRIBUTE_DUPLICATED_VALUES", about)]
    return [mismatch]


def _missing(path: str) -> list[tuple[str, dict[str, Any]]]:
    special = {"_ownerOrganization": "OWNER_ORGANIZATION_CANNOT_BE_NULL"}
    codes: list[tuple[str, dict[str, Any]]] = [(special[path], {})] if path in special else []
    if path.endswith(".countryCode"):
        codes.append(("COUNTRY_CODE_CANNOT_BE_NULL", {}))
    return [
        *codes,
        ("ATTRIBUTE_IS_MANDATORY", {"attributeName": path}),
        ("MISSING_PARAMETERS", {"parameters": [path]}),
    ]


def _named(problem: Problem) -> list[tuple[str, dict[str, Any]]]:
    codes = {"_id": "INVALID_DEVICE_NAME", "_name": "INVALID_GENERIC_ENTITY_NAME"}
    return [(codes[problem.path], {"name": problem.value})] if problem.path in codes else []


def _format(problem: Problem, valued: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    word = problem.shape["is"]
    if word in _FORMAT_CODES:
        return [(_FORMAT_CODES[word], {"value": problem.value})]
    if word in _PATTERNS:
        return [("ATTRIBUTE_REGEX_VALIDATION_FAILED", valued | {"regex": _PATTERNS[word]})]
    return [("ATTRIBUTE_VALUE_CONVERSION_FAILED", {"attributeName": problem.path, "message": _message(problem)})]


def _regex(problem: Problem) -> str:
    shape = problem.shape
    return str(shape.get("pattern") or f"^.{{{shape.get('least', 0)},{shape.get('most', '')}}}$")


def type_name(problem: Problem) -> str:
    """BioT's name of the type that a value should have."""
    shape = problem.shape if isinstance(problem.shape, dict) else {"is": problem.shape}
    if "enum" in shape:
        return "SINGLE_SELECT"
    if "list" in shape:
        return "MULTI_SELECT"
    if "fields" in shape:
        names = {"countryCode": "ADDRESS", "firstName": "NAME", "id": "REFERENCE"}
        return next((name for one, name in names.items() if one in shape["fields"]), "OBJECT")
    return _TYPES.get(shape.get("is", ""), "LABEL")
