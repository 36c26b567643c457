"""Patterns are found in every reading of a path."""

from __future__ import annotations

import pytest
from biot_sidecar.pacing import no_pause
from biot_sidecar.routing.path_normalization import segments_of
from biot_sidecar.routing.pattern import parse_pattern
from biot_sidecar.routing.pattern_tree import PatternTree
from biot_sidecar.routing.variant_matching import VariantMatcher


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", b"/a/b", {0}),
        ("GET", b"/x", {None}),
        ("get", b"/a/b", {None, 0}),
        ("GET", b"/a%2Fb", {None, 0}),
        ("GET", b"/A/b", {1, 0}),
        ("GET", b"/a/b;c", {None, 0}),
    ],
)
def test_the_first_pattern_of_each_reading_is_found(method, path, found):
    patterns = [(number, parse_pattern(text)) for number, text in enumerate(["GET /a/b", "GET /A/b"])]
    matcher = VariantMatcher(PatternTree(patterns), patterns, no_pause)
    assert matcher.first_matches(method, path, segments_of(path)) == found
