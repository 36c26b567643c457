"""Patterns are found in every reading of a path."""

from __future__ import annotations

import sys

import pytest
from biot_sidecar.pacing import no_pause
from biot_sidecar.routing import path_normalization
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


@pytest.mark.parametrize(
    ("method", "path", "texts", "plain"),
    [
        ("GET", b"/a/b", ["GET /a/b"], True),
        ("get", b"/a/b", ["GET /a/b"], False),
        ("GET", b"/a/B", ["GET /a/b"], False),
        ("GET", b"/a;x/b", ["GET /a/b"], False),
        ("GET", b"/a/b", ["GET /a/b", "GET /A/b"], False),
    ],
)
def test_a_path_is_plain_when_no_server_reads_it_otherwise(method, path, texts, plain):
    patterns = [(number, parse_pattern(text)) for number, text in enumerate(texts)]
    assert VariantMatcher(PatternTree(patterns), patterns, no_pause).is_plain(method, path) is plain


def test_a_blank_is_what_some_server_strips_and_nothing_else():
    controls = {chr(code) for code in (*range(0x21), *range(0x7F, 0xA1))}
    spaces = {chr(code) for code in range(sys.maxunicode) if chr(code).isspace()}
    assert set(path_normalization._BLANKS) == controls | spaces | {"\ufeff"}


@pytest.mark.parametrize(("path", "found"), [(b"/%61", True), (b"/%2561", True), (b"/%252561", False)])
def test_a_path_is_decoded_twice_at_most(path, found):
    assert ((b"a",) in path_normalization.path_variants(path, segments_of(path))) is found
