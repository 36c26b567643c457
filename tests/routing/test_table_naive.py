"""The compiled table beside the contract's words, tried one route and one variant after the other."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache

from biot_sidecar.routing.file import load
from biot_sidecar.routing.table import RouteTable
from hypothesis import event, given, settings
from hypothesis import strategies as st

Path = tuple[bytes, ...]

LITERALS = ["a", "B", "b", "a%2Fb", "a%20b", "%61", "a;b", "a%3Bb", "i", "ss", "a%20", "%C4%B1"]
METHODS = ["GET", "PUT", "DELETE"]
MATCHES = st.builds(
    lambda methods, segments, rest, slash: f"{methods} /{'/'.join(segments + ['**'] * rest)}{slash}",
    st.one_of(st.just("*"), st.lists(st.sampled_from(METHODS), min_size=1, max_size=3, unique=True).map("|".join)),
    st.lists(st.sampled_from([*LITERALS, "{x}", "{id}"]), max_size=3),
    st.booleans(),
    st.sampled_from(["", "", "/"]),
)
ROUTES = st.lists(
    st.tuples(st.lists(MATCHES, min_size=1, max_size=3), st.sampled_from(["off", "on", "client", "deny", "observe"])),
    max_size=6,
)
PIECES = ["a", "b", "A", "B", "/", "/", "//", ";", "%2F", "%2f", "%5C", "%3B", "%25", "%61", "%2561", "%252F", "%253b",
          ".", "%2e", "%", "%0", "%00", "\\", "\x01", "\xff", "%20", "?", "*",
          "i", "I", "s", "%C4%B0", "\xc4\xb1", "%25C4%25B1", "%CC%87", "%C3%9F", "\xc5\xbf", "%C2%A0", "\xc2\x85",
          "%2509"]  # fmt: skip
PATHS = st.lists(st.sampled_from(PIECES), max_size=8).map(lambda pieces: ("/" + "".join(pieces)).encode("latin-1"))


def compiled(routes: list[tuple[list[str], str]], unmatched: str) -> RouteTable | None:
    """The table; None if a route cannot be reached."""
    written = [
        {"name": f"route {number}", "match": matches}
        | ({effect: "because"} if effect in {"deny", "observe"} else {"interception": effect})
        for number, (matches, effect) in enumerate(routes)
    ]
    return load(json.dumps({"version": 1, "defaults": {"unmatched": unmatched}, "routes": written}).encode(), "f").table


def decode(text: bytes) -> bytes:
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda match: bytes([int(match[1], 16)]), text)


def refused(path: bytes) -> bool:
    """A dot segment (encoded or not), a backslash, a control character or broken percent-encoding."""
    plain = decode(path)
    dots = any(part.split(b";")[0] in {b".", b".."} for part in plain.split(b"/"))
    broken = re.search(rb"%(?![0-9A-Fa-f]{2})", path)
    return bool(dots or b"\\" in plain or broken or re.search(rb"[\x00-\x1f\x7f]", plain))


SAME = {"\u0131": "i", "\u0130": "i", "i\u0307": "i", "\u00df": "ss", "\u017f": "s"}
"""What ignores case in Java or Python takes these for, beside the small letters."""


def folded(segment: bytes) -> bytes:
    text = segment.decode("utf-8", "surrogateescape").lower()
    for letter, plain in SAME.items():
        text = text.replace(letter, plain)
    return text.encode("utf-8", "surrogateescape")


def trimmed(segment: bytes) -> bytes:
    text = segment.decode("utf-8", "surrogateescape")
    while text != (text := text.strip().strip("".join(map(chr, [*range(33), *range(127, 161)])))):
        pass
    return text.encode("utf-8", "surrogateescape")


@cache
def expression(match: str, *, fold: bool) -> re.Pattern[bytes]:
    """The match as a regular expression over METHOD and segments in hexadecimal, a slash before each."""
    methods, _, path = match.partition(" ")
    steps = [step for step in path.split("/") if step]
    rest = steps[-1:] == ["**"]
    said = "[^/]+" if methods == "*" else f"({methods})"
    for step in steps[: len(steps) - rest]:
        literal = decode(step.encode())
        said += "/[0-9a-f]+" if step.startswith("{") else f"/{(folded(literal) if fold else literal).hex()}"
    return re.compile((said + "(/[0-9a-f]+)*" * rest).encode())


def first(
    routes: list[tuple[list[str], str]], method: str, path: Path, *, fold: bool = False, blind: bool = True
) -> int | None:
    """The number of the first route that matches, trying them all; `blind` to those that only observe."""
    subject = "/".join([method.upper() if fold else method, *((folded(s) if fold else s).hex() for s in path if s)])
    for number, (matches, effect) in enumerate(routes):
        if not (blind and effect == "observe") and any(
            expression(match, fold=fold).fullmatch(subject.encode()) for match in matches
        ):
            return number
    return None


def path_variants(path: bytes) -> Iterator[Path]:
    """Whatever comes of decoding once or twice, splitting at slashes, cutting and trimming, in any order."""
    todo, seen = [(tuple(path.split(b"/")), 0)], set()
    while todo:
        state = todo.pop()
        if state in seen:
            continue
        seen.add(state)
        segments, decoded = state
        if decoded:
            yield resolved(segments)
        if decoded < 2:
            todo.append((tuple(map(decode, segments)), decoded + 1))
        todo.append((tuple(s.split(b";")[0] for s in segments), decoded))
        todo.append((tuple(map(trimmed, segments)), decoded))
        todo.append((tuple(part for s in segments for part in re.split(rb"[/\\]", s)), decoded))


def resolved(segments: Path) -> Path:
    """Dot segments taken for what they mean."""
    kept: list[bytes] = []
    for segment in segments:
        if segment == b"..":
            kept = kept[:-1]
        elif segment not in {b"", b"."}:
            kept.append(segment)
    return tuple(kept)


@settings(max_examples=400)
@given(ROUTES, st.sampled_from(["allow", "deny", "observe"]), st.sampled_from([*METHODS, "get", "POST"]), PATHS)
def test_the_table_says_what_the_contract_says(routes, unmatched, method, target):
    table = compiled(routes, unmatched)
    if table is None:
        return event("a route that can never match")
    verdict = table.verdict(method.encode(), target)
    path = target.split(b"?")[0]
    if refused(path):
        assert verdict.path_refused is not None
        return event("refused")
    assert verdict.path_refused is None

    effects = [effect for _, effect in routes]

    def denies(number: int | None) -> bool:
        return unmatched == "deny" if number is None else effects[number] == "deny"

    number = first(routes, method, tuple(map(decode, path.split(b"/"))))
    variants = list(path_variants(path))
    ways = [first(routes, method, one, fold=fold) for one in variants for fold in (False, True)]
    denied = denies(number) or any(map(denies, ways))
    event("denied" if denied else "matched" if number is not None else "unmatched")
    assert (verdict.deny is not None) == denied
    if not denied or denies(number):
        assert verdict.route.name == ("unmatched" if number is None else f"route {number}")
        if number is not None and not denied:
            assert verdict.route.interception.value == effects[number]

    seeing = [first(routes, method, one, fold=fold, blind=False) for one in variants for fold in (False, True)]
    seeing.append(first(routes, method, tuple(map(decode, path.split(b"/"))), blind=False))
    last = len(routes)
    observing = [last if n is None else n for n in seeing if (unmatched if n is None else effects[n]) == "observe"]
    denying = [last if n is None else n for n in ([number] if denies(number) else ways) if denies(n)]
    reached = bool(observing) and min(observing) < min([last + 1, *denying])
    event("observed" if reached else "not observed")
    if reached:
        assert verdict.observed is not None
        assert verdict.observed.name == ("unmatched" if min(observing) == last else f"route {min(observing)}")
    else:
        assert verdict.observed is None
    return None
