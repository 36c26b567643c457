"""BioT's operations: named in one way, however they are asked for."""

from __future__ import annotations

from biot_sidecar.routing.biot_operations import operations, pattern_of
from biot_sidecar.routing.pattern import parse_pattern


def test_an_operations_pattern_is_what_a_rule_of_that_name_would_have():
    for one in operations():
        assert pattern_of(one) == parse_pattern(f"{one.method} {one.path}")
