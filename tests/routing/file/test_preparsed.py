"""A routes file that a build has parsed: the same tree, of these bytes alone."""

from __future__ import annotations

import marshal

import biot_sidecar
import msgspec
import pytest
from biot_sidecar.routing.file.diagnostics import Diagnostics
from biot_sidecar.routing.file.preparsed import to_bytes, tree_of
from biot_sidecar.routing.file.tree import Broken, Node, Scalar, Sequence
from biot_sidecar.routing.file.yaml_tree import read_document

FILE = b"""\
version: 1
defaults: {timeout: 60s, interception: "off"}
routes:
  - name: 'plain'
    match: ["GET /a/{id}", "POST /\xc3\xa4/**"]
    retry: ~
  - name: empty
    match:
tests: []
"""


def parsed(data: bytes) -> Node:
    tree = read_document(data, Diagnostics("routes.yaml"))
    assert tree is not None
    return tree


def values(held: object) -> object:
    """All that a tree holds, to be compared."""
    if isinstance(held, Node):
        return type(held), values(msgspec.structs.astuple(held))
    return [values(one) for one in held] if isinstance(held, tuple) else held


def test_it_is_the_tree_that_was_parsed(tmp_path):
    file = tmp_path / "routes"
    file.write_bytes(to_bytes(FILE, parsed(FILE)))
    found = tree_of(FILE, str(file))
    assert found is not None
    assert values(found) == values(parsed(FILE))


def test_of_a_file_that_differs_in_one_byte_there_is_none(tmp_path):
    file = tmp_path / "routes"
    file.write_bytes(to_bytes(FILE, parsed(FILE)))
    assert tree_of(FILE.replace(b"60s", b"61s"), str(file)) is None
    assert tree_of(FILE + b"\n", str(file)) is None
    assert tree_of(FILE.replace(b"\n", b"\r\n"), str(file)) is None


@pytest.mark.parametrize(
    "content",
    [
        marshal.dumps(("0.0.1", FILE, ("scalar", 1, 1, ("text", True)))),
        marshal.dumps((biot_sidecar.__version__, FILE)),
        marshal.dumps(7),
        marshal.dumps(None),
        b"",
        b"no such thing",
    ],
)
def test_what_another_version_wrote_and_what_is_broken_is_left_aside(tmp_path, content):
    file = tmp_path / "routes"
    file.write_bytes(content)
    assert tree_of(FILE, str(file)) is None


def test_where_nothing_was_built_there_is_none(tmp_path):
    assert tree_of(FILE, str(tmp_path / "routes")) is None


def test_a_tree_in_which_something_is_wrong_is_never_kept():
    with pytest.raises(KeyError, match="Broken"):
        to_bytes(FILE, Sequence(1, 1, (Scalar(1, 3, "a", plain=True), Broken(2, 3))))
