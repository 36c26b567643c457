"""The README is true: its settings, commands, targets and files are there, and its examples do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from biot_sidecar.__main__ import ABOUT, COMMANDS
from biot_sidecar.settings.table import FLAGS, SETTINGS

from tests.cli.processes import PATIENCE, running
from tests.cli.support import ran
from tests.deploy.programs import PLAIN, seen
from tests.support import wants

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
PATIENT = "/organization/v1/users/patients/11111111-1111-1111-1111-111111111111"


def table(heading: str) -> list[list[str]]:
    """The rows of a section's table, cell by cell."""
    section = TEXT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in section.splitlines() if row[:1] == "|"
    ]
    assert len(rows) > 2, heading
    return rows[2:]


def block(language: str, holding: str) -> str:
    """The one example in a language that holds these words."""
    (found,) = [code for name, code in BLOCKS if name == language and holding in code]
    return found


# ---- what it lists


def test_no_setting_is_named_that_there_is_not():
    assert set(re.findall(r"\bSIDECAR_[A-Z_]+\b", TEXT)) - {setting.name for setting in SETTINGS} == set()


def test_every_command_is_listed():
    told = {word for row in table("Commands") for word in re.findall(r"`biot-sidecar ([a-z-]+)", row[0])}
    assert told == set(COMMANDS)
    assert set(re.findall(r"`biot-sidecar ([a-z-]+)", TEXT)) <= {*COMMANDS, *ABOUT}


def test_every_target_it_names_is_there():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z-]+)\b(?=`|$|\s{2,})", TEXT, re.MULTILINE)) <= targets


def test_every_file_it_names_is_there():
    named = set(re.findall(r"`((?:config|proxy|deploy|tests)/[\w./-]+|[A-Z]+\.md)`", TEXT))
    assert named >= {"config/routes.yaml", "proxy/biot_sidecar/__init__.py"}
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_flags_are_listed_by_the_help_it_points_to(capsys):
    said = "\n".join(ran(capsys, "serve", "--help").out)
    assert all(flag in said for flag in FLAGS.values())


def test_its_routes_file_is_right_and_passes_its_own_tests(capsys, tmp_path):
    (tmp_path / "routes.yaml").write_text(block("yaml", "patient updates"))
    done = ran(capsys, "check", "--routes", str(tmp_path / "routes.yaml"))
    assert (done.status, done.out) == (0, [f"{tmp_path}/routes.yaml: 2 routes, 1 test passes"])


def test_a_newcomers_shell_finds_the_program_that_an_example_starts():
    starting = [code for name, code in BLOCKS if name == "sh" and re.search(r"^biot-sidecar ", code, re.MULTILINE)]
    assert starting
    for code in starting:
        assert ". .venv/bin/activate" in code.partition("\nbiot-sidecar ")[0]


# ---- its examples, beside a demo as `make run` starts it


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The simulator's and the sidecar's URL."""
    words = ["demo", "--simulator-listen", "127.0.0.1:0"]
    env = {"SIDECAR_LISTEN": "127.0.0.1:0", "SIDECAR_SECRET_KEY_CHECK": "0"}  # a request that none of them makes
    with running(tmp_path_factory.mktemp("demo"), *words, **env) as both:
        biot = both.line().split()[3]
        yield biot, "http://" + both.until("biot-sidecar ready on ").split()[3]


def did(demo: tuple[str, str], command: list[str], code: str) -> tuple[str, tuple[str, bool, str]]:
    """What an example prints, and the last request that BioT got of it: method, intercepted, token."""
    biot, url = demo
    assert "http://127.0.0.1:8787" in code
    wants.program(command[0])
    if "curl" in code:
        wants.program("curl")
    words = [*command, code.replace("http://127.0.0.1:8787", url)]
    done = subprocess.run(words, env=PLAIN, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    last = seen(biot)[-1]
    return done.stdout, (last["method"], last["interception"], last["token"])


pages = pytest.mark.timeout(120)


@pages
@pytest.mark.e2e
def test_the_first_call_shows_a_patient(demo):
    said, request = did(demo, ["sh", "-c"], block("sh", "curl -s http"))
    assert '"firstName": "Demo"' in said
    assert request == ("GET", False, "valid")


@pages
@pytest.mark.e2e
@pytest.mark.parametrize(
    ("language", "command", "holding"),
    [
        ("js", ["node", "--input-type=module", "-e"], "127.0.0.1:8787"),
        ("python", [sys.executable, "-c"], "urllib"),
        ("sh", ["sh", "-c"], "PATCH"),
    ],
)
def test_a_patients_age_is_changed_without_token_or_header_and_intercepted(demo, language, command, holding):
    code = block(language, holding)
    assert "authorization" not in code
    assert "allow-interception" not in code
    _, request = did(demo, command, code)
    assert request == ("PATCH", True, "valid")


@pages
@pytest.mark.e2e
def test_without_the_sidecar_the_same_takes_a_login_and_two_headers(demo):
    biot, _ = demo
    wants.program("node")
    code = 'const id = "11111111-1111-1111-1111-111111111111";' + block("js", "async function login")
    user = {
        "BIOT_SERVICE_USER_ID": "00000000-0000-4000-8000-000000000001",
        "BIOT_SERVICE_USER_SECRET_KEY": "simulator-secret",
    }
    subprocess.run(
        ["node", "--input-type=module", "-e", code],
        env=PLAIN | user | {"BIOT_BASE_URL": biot},
        timeout=PATIENCE,
        check=True,
    )
    assert [(one["method"], one["interception"]) for one in seen(biot)][-2:] == [("POST", False), ("PATCH", True)]


@pages
@pytest.mark.e2e
def test_the_official_sdk_needs_a_host_and_nothing_else(demo):
    said, _ = did(demo, [sys.executable, "-c"], block("python", "biotmed_ums_sdk"))
    assert said.startswith("MII")


@pages
@pytest.mark.e2e
@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/readyz", "/_sidecar/status", "/_sidecar/explain"])
def test_what_it_says_the_sidecar_answers_itself(demo, path):
    assert f"`{path}" in TEXT
    query = "?method=GET&path=/a" if path.endswith("explain") else ""
    did(demo, ["curl", "-sf"], f"http://127.0.0.1:8787{path}{query}")
    assert path not in {one["path"] for one in seen(demo[0])}
