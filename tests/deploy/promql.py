"""As much of PromQL as it takes to see which metrics, labels and label values a query stands on."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\]|\\.)*")
      | (?P<range>\[[^\]]*\])
      | (?P<number>\d+(?:\.\d+)?)
      | (?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)
      | (?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^(){},=<>])
    )""",
    re.VERBOSE,
)
_GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
_OPERATORS = {"and", "or", "unless", "bool"}


class NotPromQL(ValueError):
    """The text holds something that is none of PromQL's words."""


@dataclass
class Selector:
    """One metric in a query; matchers as (label, operator, value)."""

    metric: str
    matchers: list[tuple[str, str, str]] = field(default_factory=list)


@dataclass
class Query:
    """What a query stands on; `grouping` are the labels named by `by`, `on` and their like."""

    selectors: list[Selector] = field(default_factory=list)
    grouping: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)


def tokens_of(text: str) -> list[tuple[str, str]]:
    """(kind, text) of each word. Raises NotPromQL."""
    found, place, text = [], 0, text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise NotPromQL(text[place:])
        found.append((match.lastgroup or "", match[match.lastgroup or 0]))
        place = match.end()
    return found


def read(text: str) -> Query:
    """What the query stands on. Raises NotPromQL for unknown words and unbalanced brackets."""
    words = [*tokens_of(text), ("end", "")]
    for opening, closing in ("()", "{}"):
        if sum(word == opening for _, word in words) != sum(word == closing for _, word in words):
            raise NotPromQL(text)
    query = Query()
    place = 0
    while place < len(words):
        kind, word = words[place]
        following = words[place + 1][1] if place + 1 < len(words) else ""
        if kind == "name" and word in _GROUPING and following == "(":
            labels, place = _until(words, place + 2, ")")
            query.grouping |= {label for label_kind, label in labels if label_kind == "name"}
        elif kind == "name" and following == "{":
            matchers, place = _until(words, place + 2, "}")
            query.selectors.append(Selector(word, _matchers(matchers)))
        elif kind == "name" and word not in _OPERATORS:
            _take_name(query, words, place, word)
            place += 1
        else:
            place += 1
    return query


def _take_name(query: Query, words: list[tuple[str, str]], place: int, word: str) -> None:
    following = words[place + 1][1]
    if following == "(" or following in _GROUPING:
        query.functions.add(word)
    else:
        query.selectors.append(Selector(word))


def _until(words: list[tuple[str, str]], place: int, closing: str) -> tuple[list[tuple[str, str]], int]:
    end = next((at for at in range(place, len(words)) if words[at][1] == closing), None)
    if end is None:
        raise NotPromQL(closing)
    return words[place:end], end + 1


def _matchers(words: list[tuple[str, str]]) -> list[tuple[str, str, str]]:
    kept = [word for _, word in words if word != ","]
    if len(kept) % 3:
        raise NotPromQL(" ".join(kept))
    return [(kept[at], kept[at + 1], kept[at + 2][1:-1]) for at in range(0, len(kept), 3)]
