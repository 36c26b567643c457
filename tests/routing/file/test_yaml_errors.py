"""Every mistake in a routes file has its line, its column and a sentence that says what to write."""

from __future__ import annotations

import pytest
import yaml
from biot_sidecar.routing.file import load
from biot_sidecar.routing.file import yaml_tree as document


@pytest.fixture(params=["CSafeLoader", "SafeLoader"])
def parser(request, monkeypatch):
    """libyaml, and the parser in Python that stands in where it is missing."""
    monkeypatch.setattr(document, "_LOADER", getattr(yaml, request.param))


def errors(data: str | bytes) -> list[str]:
    raw = data if isinstance(data, bytes) else data.encode()
    loaded = load(raw, "f")
    assert loaded.table is None
    return [str(problem) for problem in loaded.errors]


WHOLE_FILE = [
    ("", "f:1:1: error: the file is empty; write at least version: 1"),
    ("# nothing\n", "f:1:1: error: the file is empty; write at least version: 1"),
    (b"version: 1\nroutes: \xe9\n", "f:2:9: error: byte 0xE9 is not UTF-8; save the file as UTF-8"),
    (b"\xef\xbb\xbfversion: \xe9", "f:1:10: error: byte 0xE9 is not UTF-8; save the file as UTF-8"),
    ("version: 1".encode("utf-16"), "f:1:1: error: this is UTF-16; save the file as UTF-8"),
    (b"version: 1\n# \0\n", "f:2:3: error: a NUL character does not belong in a text file; remove it"),
    ("version: 1 # \x1b[31m", "f:1:14: error: the control character U+001B does not belong in a text file; remove it"),
    ("version: 1\u2028a: b", "f:1:11: error: the control character U+2028 does not belong in a text file; remove it"),
    ("- version: 1", "f:1:1: error: a routes file is a mapping that begins with version: 1; this is a list"),
    ("hello", "f:1:1: error: a routes file is a mapping that begins with version: 1; this is a text"),
    ("---\n", "f:2:1: error: version is missing; write version: 1"),
    ("routes: []\n", "f:1:1: error: version is missing; write version: 1"),
    ("version: 2\n", "f:1:10: error: version '2' is unknown; write version: 1"),
    ("version: 1.0\n", "f:1:10: error: version '1.0' is unknown; write version: 1"),
    ("version: 01\n", "f:1:10: error: version '01' is unknown; write version: 1"),
    ("version:\n", "f:1:9: error: version is the number 1; this is nothing"),
    ("version: [1]\n", "f:1:10: error: version is the number 1; this is a list"),
    ("version: 1\n---\nversion: 1\n", "f:2:1: error: a second document begins here; a routes file is one document"),
    ("version: 1\nversion: 1\n", "f:2:1: error: 'version' is here twice; it is in line 1 already"),
    ("version: 1\nroute: []\n", "f:2:1: error: unknown key 'route'; did you mean routes?"),
    ("version: 1\ntimeout: 3s\n",
     "f:2:1: error: unknown key 'timeout'; it belongs in defaults or a route or expect"),
    ("version: 1\nzzz: 3s\n",
     "f:2:1: error: unknown key 'zzz'; the file's top can have version, defaults, routes, tests"),
    ("version: 1\ndefaults: 60s\n",
     "f:2:11: error: defaults is a mapping, such as timeout: 60s; this is the text '60s'"),
    ("version: 1\nroutes: {name: a}\n",
     "f:2:9: error: routes is a list, each route beginning with - name:; this is a mapping"),
    ("version: 1\ntests: yes\n",
     "f:2:8: error: tests is a list, each test beginning with - request:; this is the text 'yes'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "error"), WHOLE_FILE)
def test_the_file_as_a_whole(parser, text, error):
    assert errors(text) == [error]


FOREIGN = [
    "canary", "  canary\n", "'canary'", "|\n  version: canary\n", "*canary", "&canary a", "!canary a", "!canary!a b",
    "canary: sidecar", "canary:x", "canary:x\nb: c", "canary: a\ncanary: a", "canary: [a", "canary: 'a", "canary\na: b",
    "{canary: a}", "[canary]", "- canary", "- {canary: a}", "canary: !canary a", "a: &canary b", "a: *canary",
    "%canary\n", "@canary", "`canary", "canary: a: b", "? canary", "canary\n---\ncanary", "<<: canary", "canary\0",
    "A=canary\n", '{"id": "canary", "secretKey": "canary"}', "apiVersion: v1\ndata:\n  canary: canary\n",
    "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n",
]  # fmt: skip


@pytest.mark.parametrize("text", FOREIGN)
def test_of_a_file_that_is_no_routes_file_nothing_is_shown(parser, text):
    """It may be the secret's: SIDECAR_ROUTES was taken for SIDECAR_..._SECRET_KEY_FILE."""
    found = errors(text)
    assert found
    assert "canary" not in str(found)


def test_a_slip_in_the_only_key_is_still_named():
    assert errors("verison: 1\n") == ["f:1:1: error: unknown key 'verison'; did you mean version?"]
    assert errors("zzz: 1\n") == [
        "f:1:1: error: a routes file is a mapping that begins with version: 1; "
        "this has none of version, defaults, routes, tests"
    ]


SYNTAX = [
    ("\tversion: 1\n", "f:1:1: error: a tab; YAML wants spaces for indentation"),
    ("version: 1\nroutes:\n\t- name: a\n", "f:3:1: error: a tab; YAML wants spaces for indentation"),
    ("routes:\n- match: * /a\n", 'f:2:10: error: YAML takes * for an alias; put quotes around it: "* /file/**"'),
    ("routes:\n- match:\n  - * /a\n", 'f:3:5: error: YAML takes * for an alias; put quotes around it: "* /file/**"'),
    ("routes:\n- match: [* /a]\n", 'f:2:11: error: YAML takes * for an alias; put quotes around it: "* /file/**"'),
    ("a: {m: GET /a/{id}}\n",
     'f:1:15: error: within { } and [ ] a text with braces needs quotes: "GET /ums/v2/users/{id}"'),
    ("a: [GET /a/{id}]\n",
     'f:1:12: error: within { } and [ ] a text with braces needs quotes: "GET /ums/v2/users/{id}"'),
    ("a: [1, 2\n", "f:1:4: error: this [ is never closed"),
    ("a: {b: 1\nc: 2\n", "f:1:4: error: this { is never closed"),
    ("a: 'b\n", "f:1:4: error: this ' is never closed"),
    ('a: "b\nc: d\n', 'f:1:4: error: this " is never closed'),
    ("\n[- ]", "f:2:2: error: this cannot stand within { } or [ ]"),
    ("name: a: b\n",
     "f:1:8: error: a colon does not fit here: put quotes around a text that holds one, or look at the indentation"),
    ("a: [\n", "f:1:4: error: this [ is never closed"),
    ("a: {b: {c: d},\n\n", "f:1:4: error: this { is never closed"),
    ("a: {b: c d: e}\n",
     "f:1:11: error: a comma is missing before this key, or quotes around a text that holds a colon"),
    ("a:\n  timeout:60s\n  retry: none\n", "f:2:3: error: a space is missing after timeout:"),
    ("version:1\n\n# routes\nroutes: []\n", "f:1:1: error: a space is missing after version:"),
    ("a:\n  -name: b\n   match: c\n", "f:2:3: error: a space is missing after the dash"),
    ("a:\n- name: b\n  timeout 3s\n", "f:3:3: error: a colon is missing after timeout"),
    ("a:\n- name b\n  match: c\n", "f:2:3: error: a colon is missing after name"),
    ("a: b\nc\n", "f:2:1: error: a colon is missing after this key"),
    ("a: 'b' c\n", "f:1:8: error: nothing can follow the closing ' in its line"),
    ("a: [b] c\n", "f:1:8: error: nothing can follow the closing ] in its line"),
    ("a: @b\n", "f:1:4: error: a text cannot begin with @; put quotes around it"),
    ("a: `b`\n", "f:1:4: error: a text cannot begin with `; put quotes around it"),
    ("a: %b\n", "f:1:4: error: a text cannot begin with %; put quotes around it"),
    ("a:\n  -\tb: c\n", "f:2:4: error: a tab; YAML wants spaces for indentation"),
    ("- a\nb: 1\n", "f:2:1: error: this does not fit the lines above; look at the indentation"),
    ("routes:\n  - name: a\n - name: b\n", "f:3:2: error: this does not fit the lines above; look at the indentation"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "error"), SYNTAX)
def test_broken_yaml(parser, text, error):
    assert errors(text) == [error]


def test_other_broken_yaml_keeps_yamls_own_words():
    assert errors('a: "\\q"\n')[0].startswith("f:1:")
    assert "error: YAML cannot read this: found unknown escape character" in errors('a: "\\q"\n')[0]


TRAPS = [
    ("version: &v 1\n", "f:1:10: error: the anchor &v has no use here; write values out where they apply"),
    ("version: !!int 1\n", "f:1:10: error: the tag 'tag:yaml.org,2002:int' has no meaning here; leave it out"),
    ("version: ! 1\n", "f:1:10: error: the tag '!' has no meaning here; leave it out"),
    ("version: 1\nroutes: *all\n",
     'f:2:9: error: *all is an alias to YAML; write it out, or put quotes around a match: "* /file/**"'),
    ("version: 1\nroutes:\n- name: a\n  match: */file/** \n",
     'f:4:10: error: YAML takes * for an alias; put quotes around it: "* /file/**"'),
    ("version: 1\n<<: {routes: []}\n",
     "f:2:1: error: merge keys (<<) have no meaning here; write values out where they apply"),
    ("version: 1\n[a]: b\n", "f:2:1: error: a key is one word here; a text that begins with { or [ needs quotes"),
    ("[" * 40 + "]" * 40, "f:1:14: error: this is nested too deep for a routes file"),
    ("- " * 40, "f:1:27: error: this is nested too deep for a routes file"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "error"), TRAPS)
def test_yamls_traps(parser, text, error):
    assert error in errors(text)


@pytest.mark.parametrize("opening", ["[", "{", "- ", "? ", "a: ["])
def test_however_deep_it_goes_it_is_one_error(parser, opening):
    assert len(errors(f"version: 1\nroutes: {opening * 100_000}")) == 1


def test_aliases_cannot_explode():
    lines = ["version: 1", "a: &a [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"{two}: &{two} [{', '.join([f'*{one}'] * 10)}]" for one, two in zip("abcdefgh", "bcdefghi", strict=True)]
    assert len(errors("\n".join(lines))) == 9 + 9 + 80


ROUTE = [
    ("- a", "f:3:3: error: a route is a mapping with name and match; this is the text 'a'"),
    ("- {match: GET /a}", "f:3:3: error: name is missing from this route; write name: what it is for"),
    ("- {name: a}", "f:3:3: error: match is missing from this route; write match: GET /ums/v2/users/{id}"),
    ('- {name: "", match: GET /a}', "f:3:10: error: name is a text; this is the text ''"),
    ('- {name: " ", match: GET /a}', "f:3:10: error: name is a text; this is the text ' '"),
    ("- {name: , match: GET /a}", "f:3:10: error: name is a text; this is nothing"),
    ("- {name: null, match: GET /a}", "f:3:10: error: name is a text; this is nothing"),
    ("- {name: [a], match: GET /a}", "f:3:10: error: name is a text; this is a list"),
    ("- {name: unmatched, match: GET /a}",
     "f:3:10: error: name: unmatched stands for calls that no route matches; choose another name"),
    ('- {name: "a\\u200bb", match: GET /a}',
     "f:3:10: error: name: 'a\\u200bb' holds a character that does not show; remove it"),
    ('- {name: "a\\nb", match: GET /a}',
     "f:3:10: error: name: 'a\\nb' holds a character that does not show; remove it"),
    (f"- {{name: {'a' * 101}, match: GET /a}}",
     f"f:3:10: error: name: '{'a' * 59}…' is longer than 100 characters"),
    ("- {name: a, match: []}", "f:3:20: error: match: the list is empty; write at least one METHOD /path"),
    ("- {name: a, match: {GET: /a}}",
     "f:3:20: error: match is METHOD /path or a list of those, such as GET /ums/v2/users/{id}; this is a mapping"),
    ("- {name: a, match: get /a}",
     "f:3:20: error: match: 'get' can never match: methods have capitals; write GET"),
    ("- {name: a, match: [GET /a, GET /b?c]}",
     "f:3:29: error: match: 'b?c': the query plays no part in matching; leave it out"),
    ("- {name: a, match: GET /a, mach: GET /b}", "f:3:28: error: unknown key 'mach'; did you mean match?"),
    ("- {name: a, match: GET /a, Time-Out: 3s}", "f:3:28: error: unknown key 'Time-Out'; did you mean timeout?"),
    ("- {name: a, match: GET /a, unmatched: deny}",
     "f:3:28: error: unknown key 'unmatched'; it belongs in defaults"),
    ("- {name: a, match: GET /a, interception: onn}",
     "f:3:42: error: interception: 'onn' is none of off, on, client; did you mean on?"),
    ("- {name: a, match: GET /a, interception: Client}",
     "f:3:42: error: interception: 'Client' is none of off, on, client; did you mean client?"),
    ("- {name: a, match: GET /a, interception: 1}",
     "f:3:42: error: interception: '1' is none of off, on, client"),
    ("- {name: a, match: GET /a, interception: [on]}",
     "f:3:42: error: interception is one of off, on, client; this is a list"),
    ("- {name: a, match: GET /a, authorization: no}",
     "f:3:43: error: authorization: 'no' is none of replace, keep, none; did you mean none?"),
    ("- {name: a, match: GET /a, retry: idempotant}",
     "f:3:35: error: retry: 'idempotant' is none of none, idempotent; did you mean idempotent?"),
    ("- {name: a, match: GET /a, retry: off}",
     "f:3:35: error: retry: 'off' is none of none, idempotent; did you mean none?"),
    ("- {name: a, match: GET /a, timeout: 60}",
     "f:3:37: error: timeout: '60' has no unit; write 60s or 60ms"),
    ("- {name: a, match: GET /a, timeout: 0060}",
     "f:3:37: error: timeout: '0060' has no unit; write 60s or 60ms"),
    ("- {name: a, match: GET /a, timeout: 1.5}",
     "f:3:37: error: timeout: '1.5' has no unit; write 1.5s or 1.5ms"),
    ("- {name: a, match: GET /a, timeout: 0.5}",
     "f:3:37: error: timeout: '0.5' has no unit; write 0.5s or 0.5ms"),
    ("- {name: a, match: GET /a, timeout: -1s}",
     "f:3:37: error: timeout: '-1s' is no duration; write a number and a unit, such as 250ms, 30s, 5m or 1h"),
    ("- {name: a, match: GET /a, timeout: 0}",
     "f:3:37: error: timeout: 0 would end every call at once; leave it out for the default"),
    ("- {name: a, match: GET /a, timeout: 0s}",
     "f:3:37: error: timeout: 0 would end every call at once; leave it out for the default"),
    ("- {name: a, match: GET /a, timeout: 010s}",
     "f:3:37: error: timeout: '010s' begins with a zero; write 10s"),
    ("- {name: a, match: GET /a, timeout: 1:30}",
     "f:3:37: error: timeout: '1:30' is no duration; write 1m30s"),
    ("- {name: a, match: GET /a, timeout: 8d}",
     "f:3:37: error: timeout: '8d' is no duration; write a number and a unit, such as 250ms, 30s, 5m or 1h"),
    ("- {name: a, match: GET /a, timeout: 200h}", "f:3:37: error: timeout: '200h' is longer than a week"),
    ("- {name: a, match: GET /a, deny: }", "f:3:34: error: deny is the reason that the caller reads; this is nothing"),
    ("- {name: a, match: GET /a, deny: no}",
     "f:3:34: error: deny: 'no' is no reason; write what the caller should read, or leave deny out to allow the call"),
    ("- {name: a, match: GET /a, deny: on}",
     "f:3:34: error: deny: 'on' is no reason; write what the caller should read, or leave deny out to allow the call"),
    ('- {name: a, match: GET /a, deny: "a\\nb"}',
     "f:3:34: error: deny: 'a\\nb' holds a line end or control character; write one line"),
]  # fmt: skip


@pytest.mark.parametrize(("route", "error"), ROUTE)
def test_a_route(route, error):
    assert errors(f"version: 1\nroutes:\n{route}\n") == [error]


def test_defaults():
    text = "version: 1\ndefaults: {interception: maybe, unmatched: denied, timeout: 5, name: x}\n"
    assert errors(text) == [
        "f:2:26: error: interception: 'maybe' is none of off, on, client",
        "f:2:44: error: unmatched: 'denied' is none of allow, deny, observe; did you mean deny?",
        "f:2:61: error: timeout: '5' has no unit; write 5s or 5ms",
        "f:2:64: error: unknown key 'name'; it belongs in a route",
    ]


def test_two_routes_of_one_name():
    text = "version: 1\nroutes:\n- {name: a, match: GET /a}\n- {name: b, match: GET /b}\n- {name: a, match: GET /c}\n"
    assert errors(text) == ["f:5:10: error: the name 'a' is taken by the route in line 3; choose another"]


CASES = [
    ("- a", "f:5:3: error: a test is a mapping with request and expect; this is the text 'a'"),
    ("- {expect: {deny: true}}", "f:5:3: error: request is missing from this test; write request: GET /ums/v2/users/1"),
    ("- {request: GET /a}", "f:5:3: error: expect is missing from this test; write expect: {interception: off}"),
    ("- {request: GET /a, expect: {}}",
     "f:5:29: error: expect is empty; name what must come out, such as interception: on"),
    ("- {request: GET /a, expect: on}",
     "f:5:29: error: expect is a mapping, such as interception: on; this is the text 'on'"),
    ("- {request: GET /a, expect: {rout: a}}", "f:5:30: error: unknown key 'rout'; did you mean route?"),
    ("- {request: GET /a, expect: {route: seconf}}",
     "f:5:37: error: route: there is no route 'seconf'; did you mean second?"),
    ("- {request: /a, expect: {deny: true}}",
     "f:5:13: error: request: '/a' is no request; write METHOD /path, such as GET /ums/v2/users/1"),
    ("- {request: GET a, expect: {deny: true}}",
     "f:5:13: error: request: 'GET a' is no request; write METHOD /path, such as GET /ums/v2/users/1"),
    ("- {request: get /a, expect: {deny: true}}",
     "f:5:13: error: request: 'get' is no method; write one in capitals, such as GET"),
    ('- {request: "GET /a/{id}", expect: {deny: true}}',
     "f:5:13: error: request: '/a/{id}' is a pattern; write a path as a call has it, such as /ums/v2/users/1"),
    ("- {request: GET /a, expect: {timeout: soon}}",
     "f:5:39: error: timeout: 'soon' is no duration; write a number and a unit, such as 250ms, 30s, 5m or 1h"),
    ("- {request: GET|PUT /a, expect: {deny: true}}",
     "f:5:13: error: request: 'GET|PUT' is no method; write one in capitals, such as GET"),
    # ---- read, but they fail
    ("- {request: GET /a/../b?c=d, expect: {deny: true, interception: off}}",
     "f:5:13: error: test failed: GET /a/../b is refused with 400: it holds a dot segment"),
    ("- {request: GET /ums/v2/users, expect: {interception: on}}",
     "f:5:55: error: test failed: GET /ums/v2/users: interception is off, not on; decided by first (f:3)"),
    ("- {request: GET /ums/v2/users?x=secret, expect: {route: second, timeout: 2m}}",
     "f:5:57: error: test failed: GET /ums/v2/users: route is 'first', not 'second'; decided by first (f:3)",
     "f:5:74: error: test failed: GET /ums/v2/users: timeout is 1m, not 2m; decided by first (f:3)"),
    ("- {request: GET /ums/v2/users, expect: {deny: true}}",
     "f:5:47: error: test failed: GET /ums/v2/users: deny is false, not true; decided by first (f:3)"),
    ("- {request: PUT /ums/v2/users/1, expect: {deny: false}}",
     "f:5:49: error: test failed: PUT /ums/v2/users/1: deny is 'never', not false; decided by second (f:3)"),
    ("- {request: PUT /ums/v2/users/1, expect: {deny: ever}}",
     "f:5:49: error: test failed: PUT /ums/v2/users/1: deny is 'never', not 'ever'; decided by second (f:3)"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_test(case):
    line, *expected = case
    routes = '[{name: first, match: GET /ums/v2/users}, {name: second, match: "* /ums/**", deny: never}]'
    assert errors(f"version: 1\nroutes:\n {routes}\ntests:\n{line}\n") == expected


def test_tests_do_not_run_while_rules_are_wrong():
    text = "version: 1\nroutes:\n- {name: a, match: get /a}\ntests:\n- {request: GET /a, expect: {interception: on}}\n"
    assert len(errors(text)) == 1


def test_tests_run_beside_routes_that_can_never_match_and_tests_that_cannot_be_read():
    routes = "- {name: a, match: GET /ums/v2/users}\n- {name: b, match: GET /ums/v2/users}\n"
    cases = "- {request: GET /ums/v2/users, expect: {route: b}}\n- {request: get /a, expect: {route: a}}\n"
    found = errors(f"version: 1\nroutes:\n{routes}tests:\n{cases}")
    assert [error.split(" ")[0] for error in found] == ["f:4:20:", "f:6:48:", "f:7:13:"]
    assert "test failed: GET /ums/v2/users: route is 'a', not 'b'" in found[1]


def test_every_problem_is_found_in_one_run():
    text = "version: 3\nrouts: []\nroutes:\n- {name: a, match: GET /a, retry: x, deny: no}\n- {nam: b}\ntests: {}\n"
    assert [error.split(" ")[0] for error in errors(text)] == [
        "f:1:10:", "f:2:1:", "f:4:35:", "f:4:44:", "f:5:3:", "f:5:3:", "f:5:4:", "f:6:8:",
    ]  # fmt: skip


def test_a_test_may_name_a_route_that_could_not_be_read():
    text = "version: 1\nroutes:\n- {name: a, match: get /a}\ntests:\n- {request: GET /a, expect: {route: a}}\n"
    assert [error.split(" ")[0] for error in errors(text)] == ["f:3:20:"]
