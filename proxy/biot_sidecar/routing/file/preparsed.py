"""The routes file that comes along, parsed where an image or a bundle was built: a start with it takes no YAML.

deploy/prepare_start.py writes the file's bytes and its tree. A file that differs from them in one byte is parsed.
"""

from __future__ import annotations

import marshal
import sys
from typing import Any, Final

import biot_sidecar
from biot_sidecar.routing.file.tree import Mapping, Node, Scalar, Sequence

FILE: Final = f"{biot_sidecar.__path__[0]}/data/routes.{sys.implementation.cache_tag}"
"""Holds the sidecar's version, the routes file's bytes and its tree as tuples."""
_SCALAR: Final = "scalar"
_SEQUENCE: Final = "sequence"
_MAPPING: Final = "mapping"


def tree_of(data: bytes, file: str = FILE) -> Node | None:
    """The tree of a routes file of just these bytes; None unless a build has parsed it."""
    try:
        with open(file, "rb") as opened:
            version, parsed, tree = marshal.load(opened)  # noqa: S302 - it lies among the program's own files
    except (OSError, ValueError, EOFError, TypeError):
        return None
    return _node(*tree) if (version, parsed) == (biot_sidecar.__version__, data) else None


def to_bytes(data: bytes, tree: Node) -> bytes:
    """What tree_of() reads. Raises KeyError for a tree in which something is wrong."""
    return marshal.dumps((biot_sidecar.__version__, data, _values(tree)))


def _values(node: Node) -> tuple[Any, ...]:
    place = node.line, node.column
    if isinstance(node, Scalar):
        return _SCALAR, *place, (node.text, node.plain)
    if isinstance(node, Sequence):
        return _SEQUENCE, *place, tuple(map(_values, node.items))
    if isinstance(node, Mapping):
        return _MAPPING, *place, tuple((_values(key), _values(value)) for key, value in node.entries)
    raise KeyError(type(node).__name__)


def _node(kind: str, line: int, column: int, content: tuple[Any, ...]) -> Any:
    if kind == _SCALAR:
        return Scalar(line, column, *content)
    if kind == _SEQUENCE:
        return Sequence(line, column, tuple([_node(*item) for item in content]))
    return Mapping(line, column, tuple([(_node(*key), _node(*value)) for key, value in content]))
