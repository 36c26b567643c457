"""The routes file compiled: which rule a request falls under, and whether it may go at all."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

from proxy.policy.operations import find_operation, services
from proxy.policy.pattern import Pattern, parse_pattern
from proxy.policy.readings import BadPath, Segments, readings, segments_of
from proxy.policy.rules import Rule, Verdict
from proxy.policy.trie import Trie, fold_all

_CACHE_MOST: Final = 4096
_CACHED_PATH_LIMIT: Final = 512
DENIED_UNMATCHED: Final = "no rule allows this request (unmatched: deny)"


class RouteTable:
    """Rules in the order of the file; the first that matches wins, `unmatched` stands for the rest."""

    def __init__(self, rules: Sequence[Rule], unmatched: Rule, *, deny_unmatched: bool = False) -> None:
        self.rules = tuple(rules)
        self.unmatched = dataclasses.replace(unmatched, deny=DENIED_UNMATCHED) if deny_unmatched else unmatched
        self.deny_unmatched = deny_unmatched
        self._patterns = [(index, pattern) for index, rule in enumerate(self.rules) for pattern in patterns_of(rule)]
        self._trie = Trie(self._patterns)
        denies = deny_unmatched or any(rule.deny is not None for rule in self.rules)
        self._folded = Trie(self._patterns, folded=True) if denies else None
        # A plain dict that is emptied when full: an LRU's bookkeeping costs more than the look-up it saves.
        self._cache: dict[tuple[bytes, bytes], Verdict] = {}

    def verdict(self, method: bytes, target: bytes) -> Verdict:
        """What the rules say of a request with this raw origin-form target. Never raises."""
        path = target.partition(b"?")[0]
        key = (method, path)
        known = self._cache.get(key)
        if known is not None:
            return known
        verdict = self._judge(method.decode("latin-1"), path)
        if len(path) <= _CACHED_PATH_LIMIT:
            if len(self._cache) >= _CACHE_MOST:
                self._cache.clear()
            self._cache[key] = verdict
        return verdict

    def _judge(self, method: str, path: bytes) -> Verdict:
        try:
            segments = _segments(path)
        except BadPath as error:
            return Verdict(rule=self.unmatched, template="", path_refused=str(error))
        rule = self._rule(self._trie.find(method, segments))
        denying = rule if rule.deny is not None else self._denying(method, path, segments)
        if denying is not None:
            rule = denying
        operation = find_operation(method, segments)
        template = operation.path if operation is not None else self._template(rule, method, segments)
        return Verdict(rule=rule, template=template, operation=operation, deny=rule.deny)

    def _rule(self, index: int | None) -> Rule:
        return self.unmatched if index is None else self.rules[index]

    def _denying(self, method: str, path: bytes, segments: Segments) -> Rule | None:
        """The rule that denies some reading of the path, or None."""
        if self._folded is None:
            return None
        for reading in readings(path, segments):
            # What the rules say of the path as it stands is known already.
            plain = None if reading == segments else self._rule(self._trie.find(method, reading))
            if plain is not None and plain.deny is not None:
                return plain
            folded = self._rule(self._folded.find(method.upper(), fold_all(reading)))
            if folded.deny is not None:
                return folded
        return None

    def _template(self, rule: Rule, method: str, segments: Segments) -> str:
        """The pattern that stands for the path where BioT's catalogue does not know it; never the path itself."""
        for pattern in patterns_of(rule):
            if pattern.covers(method, segments):
                return pattern.text.partition(" ")[2].strip()
        return f"/{segments[0].decode()}/**" if segments and segments[0] in services() else ""

    def plain_rule(self, method: bytes, target: bytes) -> Rule:
        """The rule for the path as it stands; the verdict's own may be one that denies another reading of it."""
        return self._rule(self._trie.find(method.decode("latin-1"), _segments(target.partition(b"?")[0])))

    def why(self, method: bytes, target: bytes) -> list[str]:
        """Why each rule before the one that matches does not; a line for each. Empty for a path that is refused."""
        try:
            segments = _segments(target.partition(b"?")[0])
        except BadPath:
            return []
        name = method.decode("latin-1")
        first = self._trie.find(name, segments)
        return [
            f"{rule.name}: {reason}"
            for rule in self.rules[:first]
            for reason in (_mismatch(pattern, name, segments) for pattern in patterns_of(rule))
        ]


def patterns_of(rule: Rule) -> list[Pattern]:
    """The rule's patterns, compiled."""
    return [parse_pattern(text) for text in rule.patterns]


def _segments(path: bytes) -> Segments:
    """OPTIONS * has no path; rules see it as the root, so that a rule for everything holds for it too."""
    return () if path == b"*" else segments_of(path)


def _mismatch(pattern: Pattern, method: str, segments: Segments) -> str:
    if pattern.methods is not None and method not in pattern.methods:
        return f"{pattern.text}: the method is not {' or '.join(sorted(pattern.methods))}"
    for place, (own, other) in enumerate(zip(pattern.segments, segments, strict=False), 1):
        if own is not None and own != other:
            return f"{pattern.text}: segment {place} is not `{own.decode('utf-8', 'replace')}`"
    return (
        f"{pattern.text}: the path has {len(segments)} segments, not {len(pattern.segments)}{' or more' * pattern.rest}"
    )
