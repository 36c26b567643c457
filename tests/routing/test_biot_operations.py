"""BioT's operations: named in one way, however they are asked for."""

from __future__ import annotations

from pathlib import Path

from biot_sidecar import routing
from biot_sidecar.routing.biot_operations import operations, pattern_of
from biot_sidecar.routing.pattern import parse_pattern


def test_every_line_of_the_file_is_an_operation_of_its_own():
    head, *lines = (Path(routing.__file__).parent / "biot_operations.tsv").read_text("ascii").splitlines()
    assert head.split("\t") == ["method", "path", "permission", "interceptable"]
    rows = [line.split("\t") for line in lines]
    assert all(len(row) == 4 and all(row) and row[3] in {"yes", "no", "?"} for row in rows)
    assert len({(method, path) for method, path, *_ in rows}) == len(rows) == len(operations())


def test_an_operations_pattern_is_what_a_route_of_that_name_would_have():
    for one in operations():
        assert pattern_of(one) == parse_pattern(f"{one.method} {one.path}")
