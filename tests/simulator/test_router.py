"""How a path finds its operation."""

from __future__ import annotations

import pytest
from biot_sidecar.simulator.router import Operation, Router, service_of
from biot_sidecar.simulator.values import Answer, Call


def nothing(call: Call) -> Answer:
    return Answer(204)


ROUTER = Router(
    Operation(method, path, nothing)
    for method, path in [
        ("GET", "/a/v1/things"),
        ("POST", "/a/v1/things"),
        ("GET", "/a/v1/things/{id}"),
        ("GET", "/a/v1/things/self"),
        ("DELETE", "/a/v1/things/{id}"),
        ("POST", "/a/v1/things/{id}/state/{state}"),
        ("POST", "/a/v1/things/templates/{name}"),
    ]
)


@pytest.mark.parametrize(
    ("method", "path", "api_id", "variables"),
    [
        ("GET", "/a/v1/things", "GET/a/v1/things", {}),
        ("GET", "/a/v1/things/", "GET/a/v1/things", {}),
        ("GET", "/a//v1/things", "GET/a/v1/things", {}),
        ("HEAD", "/a/v1/things", "GET/a/v1/things", {}),
        ("GET", "/a/v1/things/7", "GET/a/v1/things/{id}", {"id": "7"}),
        ("GET", "/a/v1/things/self", "GET/a/v1/things/self", {}),
        ("DELETE", "/a/v1/things/self", "DELETE/a/v1/things/{id}", {"id": "self"}),
        ("GET", "/a/v1/things/dev%2F1%20x%25", "GET/a/v1/things/{id}", {"id": "dev/1 x%"}),
        ("POST", "/a/v1/things/7/state/ON", "POST/a/v1/things/{id}/state/{state}", {"id": "7", "state": "ON"}),
        ("POST", "/a/v1/things/templates/x", "POST/a/v1/things/templates/{name}", {"name": "x"}),
    ],
)
def test_a_path_finds_its_operation_and_variables(
    method: str, path: str, api_id: str, variables: dict[str, str]
) -> None:
    found = ROUTER.find(method, path)
    assert found.operation is not None
    assert found.operation.api_id == api_id
    assert dict(found.variables) == variables


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/a/v1/things", {"GET", "POST"}),
        ("PATCH", "/a/v1/things/7", {"GET", "DELETE"}),
        ("GET", "/a/v1/nothings", set()),
        ("GET", "/a/v1/Things", set()),
        ("GET", "/", set()),
        ("GET", "/a/v1/things/7/8", set()),
    ],
)
def test_without_an_operation_the_other_methods_of_the_path_are_named(
    method: str, path: str, allowed: set[str]
) -> None:
    found = ROUTER.find(method, path)
    assert found.operation is None
    assert set(found.allowed) == allowed


@pytest.mark.parametrize(
    ("path", "service"), [("/ums/x", "ums"), ("/device", "device"), ("/", ""), ("/nowhere/ums", "")]
)
def test_the_first_segment_names_the_service(path: str, service: str) -> None:
    assert service_of(path) == service
