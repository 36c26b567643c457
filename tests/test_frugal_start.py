"""A start imports what it needs, and what it left out is there for whoever asks later."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from urllib.request import urlopen

import biot_sidecar
import pytest
from biot_sidecar import frugal_start
from biot_sidecar.frugal_start import Expression

from tests.deploy.programs import PLAIN, program
from tests.settings.given import environment
from tests.support import wants
from tests.support.authority import Authority
from tests.support.scripted_upstream import ScriptedUpstream

SPARED = {
    *(("_colorize",) if sys.version_info[:2] != (3, 13) else ()),  # 3.13's traceback takes a class from it; it is small
    "argparse",
    "ast",
    "biot_sidecar.telemetry.exposition",
    "ctypes",
    "dataclasses",
    "difflib",
    "dis",
    "hashlib",
    "inspect",
    "locale",
    "pathlib",
    "shlex",
    "shutil",
    "textwrap",
    "tokenize",
}
ANNOTATIONS_NEED = {"ast"} if sys.version_info >= (3, 14) else set()
"""msgspec asks for those of the classes that the first scrape decodes."""
NEEDED_BY_NOBODY = SPARED - {"biot_sidecar.telemetry.exposition", "hashlib"} - ANNOTATIONS_NEED | {
    "_strptime",
    "biot_sidecar.auth.redis_store",
    "calendar",
    "email",
    "encodings.idna",
    "http",
    "stringprep",
    "urllib.request",
}
"""Of one that has logged in over https, forwarded a call and shown its metrics."""
PACKAGE = Path(biot_sidecar.__file__).parent


@pytest.mark.e2e
def test_a_start_over_https_imports_nothing_that_it_can_do_without(tmp_path):
    env = environment(BIOT_BASE_URL="https://127.0.0.1:9", SIDECAR_LOGIN_AT_START="0", SIDECAR_LISTEN="127.0.0.1:0")
    env["COVERAGE_PROCESS_CONFIG"] = ""  # to be measured takes more
    env |= {"BIOT_APP_NAME": "plugin", "BIOT_SIDECAR_EXTENSION": "", "SIDECAR_URL": "x"}  # what others set: no slips
    command = [sys.executable, "-X", "importtime", "-m", "biot_sidecar", "serve"]
    with program(tmp_path, "sidecar", command, env) as running:
        loaded = set(re.findall(r"^import time: .* \| +(\S+)$", running.log(), re.MULTILINE))
    assert {"ssl", "yaml._yaml", "biot_sidecar.http.server"} <= loaded
    assert loaded & SPARED == set()


@pytest.mark.e2e
async def test_a_login_a_call_and_a_scrape_over_https_import_little_more(tmp_path):
    authority = Authority(tmp_path)
    async with ScriptedUpstream(authority.server_context()) as upstream:
        env = environment(
            BIOT_BASE_URL=upstream.url, SIDECAR_CA_FILE=str(authority.ca_file), SIDECAR_LISTEN="127.0.0.1:0"
        )
        env["COVERAGE_PROCESS_CONFIG"] = ""
        command = [sys.executable, "-X", "importtime", "-m", "biot_sidecar", "serve"]
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as stack:
            running = await loop.run_in_executor(
                None, lambda: stack.enter_context(program(tmp_path, "sidecar", command, env))
            )
            url = "http://" + running.first_line.split()[3]
            for path in ("/organization/v1/users/patients/1", "/metrics"):
                await loop.run_in_executor(None, lambda path=path: urlopen(url + path, timeout=30).read())
            loaded = set(re.findall(r"^import time: .* \| +(\S+)$", running.log(), re.MULTILINE))
    assert "biot_sidecar.telemetry.exposition" in loaded
    assert loaded & NEEDED_BY_NOBODY == set()


UNMEASURED = {"COVERAGE_PROCESS_CONFIG": ""}
"""To be measured takes more modules."""


def after_a_start(code: str) -> str:
    """What this prints in a process of its own, whose imports were a start's."""
    begun = "from biot_sidecar import frugal_start\nfrugal_start.begin()\nimport uvloop, yaml\nfrugal_start.end()\n"
    ran = subprocess.run(
        [sys.executable, "-c", begun + code], env=PLAIN | UNMEASURED, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.strip()


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("import inspect; print(inspect.signature(lambda one, two: 0))", "(one, two)"),
        ("from inspect import getdoc; print(getdoc(len)[:6])", "Return"),
        ("import msgspec; print(type(msgspec.inspect.type_info(int)).__name__)", "IntType"),
        ("import yaml; print(yaml.load('[on, 2020-01-01, 1_0, {a: b}]', yaml.SafeLoader)[2])", "10"),
        ("import yaml; print(type(yaml.reader.Reader.NON_PRINTABLE).__name__)", "Expression"),
        ("import yaml; print(yaml.safe_dump({'a': ['1', 1]}))", "a:\n- '1'\n- 1"),
        ("import json; print(json.loads(' [1.5, \"\\u00e4\"] '))", "[1.5, 'ä']"),
        ("import string, textwrap; print(string.Template('$a').substitute(a=1), textwrap.fill('a b', 1))", "1 a\nb"),
        ("import locale; print(locale.localeconv()['decimal_point'])", "."),
        ("import traceback; print(traceback.format_exc().strip())", "NoneType: None"),
        ("import linecache, os; print('OS routines' in linecache.getline(os.__file__, 1))", "True"),
        ("import typing_extensions; print(typing_extensions.__name__)", "typing_extensions"),
        ("import gc, re; print(gc.isenabled(), re.compile('').flags)", "True 32"),
        ("import gc; print(gc.get_threshold()[:2])", "(50000, 10)"),
        ("import sys; print([one for one in sys.meta_path if 'Submodule' in str(one)])", "[]"),
        ("import sys; print({'typing_extensions', 'decimal', 'uuid'} & set(sys.modules))", "set()"),
        ("import decimal; print(decimal.Decimal('1.10') * 3)", "3.30"),
        ("import uuid; print(uuid.UUID(int=1).is_safe is uuid.SafeUUID.unknown)", "True"),
        (
            "import sys, dataclasses\n@dataclasses.dataclass\nclass A:\n    'It.'\n    b: int = 1\n"
            "print(A(), 'dis' in sys.modules)",
            "A(b=1) False",
        ),
        (
            "import sys, inspect\nprint('signature' in vars(inspect), str(inspect.signature(lambda a: 0)))",
            "False (a)",
        ),
        ("import typing; print(type(typing.ForwardRef('Foo').__forward_code__).__name__)", "code"),
        ("import inspect, functools; print(inspect.unwrap(functools.wraps(len)(lambda: 0)) is len)", "True"),
        (
            "import sys, inspect\ndef f(): ...\nf.__wrapped__ = f\ntry: inspect.unwrap(f)\n"
            "except ValueError as e: print(str(e)[:12], 'dis' in sys.modules)",
            "wrapper loop False",
        ),
        ("import inspect; print(inspect.unwrap(max, stop=lambda f: True) is max)", "True"),
        ("import inspect\ndef f(a: int): ...\nprint(inspect.get_annotations(f))", "{'a': <class 'int'>}"),
        ("import inspect\nclass A:\n    a: '1'\nprint(inspect.get_annotations(A, eval_str=True))", "{'a': 1}"),
        ("import inspect\nclass A:\n    a: int\nclass B(A): ...\nprint(inspect.get_annotations(B))", "{}"),
    ],
)  # fmt: skip
def test_what_a_start_has_not_loaded_is_loaded_for_whoever_asks(code, printed):
    pytest.importorskip("uvloop")
    assert after_a_start(code) == printed


@pytest.mark.skipif(sys.version_info < (3, 14), reason="Python has call graphs, and makes annotations late, since 3.14")
@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("print('dataclasses' in sys.modules, 'annotationlib' in sys.modules)", "False True"),
        ("print(type(asyncio.graph.capture_call_graph).__name__)", "_Later"),
        ("print(asyncio.format_call_graph(asyncio.new_event_loop().create_future())[:8])", "* Future"),
        ("from asyncio.graph import FutureCallGraph; print(FutureCallGraph.__name__)", "FutureCallGraph"),
        (
            "g = asyncio.capture_call_graph(asyncio.new_event_loop().create_future())\n"
            "print(isinstance(g, asyncio.FutureCallGraph), isinstance(1, asyncio.FutureCallGraph))",
            "True False",
        ),
        ("import annotationlib as it; print(it.Format(1).name, it.ForwardRef.__name__)", "VALUE ForwardRef"),
        ("import annotationlib; print(annotationlib.get_annotations(lambda: 0))", "{}"),
        (
            "import msgspec\nclass A(msgspec.Struct):\n    a: int\nprint(msgspec.json.decode(b'{\"a\":1}', type=A))",
            "A(a=1)",
        ),
    ],
)  # fmt: skip
def test_what_python_3_14_has_put_off_is_there_for_whoever_asks(code, printed):
    pytest.importorskip("uvloop")
    assert after_a_start(f"import sys, asyncio\n{code}") == printed


@pytest.mark.e2e
def test_the_simulators_start_imports_no_client_and_nothing_that_it_can_do_without(tmp_path):
    wants.module("aiohttp")
    command = [sys.executable, "-X", "importtime", "-m", "biot_sidecar", "simulate", "--listen", "127.0.0.1:0"]
    with program(tmp_path, "simulator", command, {"COVERAGE_PROCESS_CONFIG": ""}) as running:
        loaded = set(re.findall(r"^import time: .* \| +(\S+)$", running.log(), re.MULTILINE))
    assert {"aiohttp.web", "biot_sidecar.simulator.app"} <= loaded
    assert loaded & {"aiohttp.client", "aiohttp.connector", "cryptography.x509", "jwt", "yaml", "zoneinfo"} == set()


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("from aiohttp import web; print('aiohttp.client' in sys.modules, web.Request.__name__)", "False Request"),
        ("import aiohttp.web; print(aiohttp.__version__[0] > '2', aiohttp.web.View.__name__)", "True View"),
        ("from aiohttp import web, ClientError; import aiohttp; print(aiohttp.ClientError is ClientError)", "True"),
        ("from aiohttp import web, ClientError; print(sys.modules['aiohttp'].web is web)", "True"),
        ("import aiohttp; print(hasattr(aiohttp, 'no_such_thing'))", "False"),
    ],
)
def test_of_a_package_that_was_put_off_all_is_there(code, printed):
    wants.module("aiohttp")
    begun = "import sys\nfrom biot_sidecar import frugal_start\nfrugal_start.defer_package('aiohttp')\n"
    ran = subprocess.run(
        [sys.executable, "-c", begun + code], env=PLAIN | UNMEASURED, capture_output=True, text=True, timeout=60
    )
    assert (ran.stdout.strip(), ran.stderr) == (printed, "")


def test_what_is_there_already_or_not_at_all_is_not_put_off():
    for name in ("re", "no_such_package"):
        before = sys.modules.get(name)
        frugal_start.defer_package(name)
        assert sys.modules.get(name) is before


@pytest.mark.parametrize(
    ("function", "printed"),
    [
        ("async def it(): ...", "True"),
        ("def it(): ...", "False"),
        ("it = __import__('functools').partial(len)", "False"),
    ],
)
def test_a_coroutine_function_is_told_from_others_without_inspect(function, printed):
    pytest.importorskip("uvloop")
    code = f"import sys, asyncio\n{function}\nprint(asyncio.iscoroutinefunction(it), 'dis' in sys.modules)"
    assert after_a_start(code) == f"{printed} False"


def test_an_expression_is_compiled_with_its_first_use_and_once():
    class Counted(Expression):
        compiled = 0

        @staticmethod
        def _compile(*arguments: object) -> re.Pattern[str]:
            Counted.compiled += 1
            return re.compile(*arguments)

    expression = Counted("A(b)", re.IGNORECASE)
    assert Counted.compiled == 0
    assert expression.match("ab")[1] == "b"
    assert (expression.match("x"), expression.fullmatch("aB")[0], expression.groups) == (None, "aB", 1)
    assert Counted.compiled <= 3


@pytest.mark.parametrize("name", ["biot_sidecar.errors", "biot_sidecar.routing.table"])
def test_a_module_in_python_is_found_where_importlib_finds_it(name):
    path = [str(PACKAGE / "routing")] if "routing" in name else [str(PACKAGE)]
    ours = frugal_start._FINDER.find_spec(name, path)
    theirs = PathFinder.find_spec(name, path)
    if ours is None:  # in the compiled form
        assert not theirs.origin.endswith(".py")
    else:
        assert (ours.name, ours.origin, ours.cached) == (theirs.name, theirs.origin, theirs.cached)
        assert (ours.has_location, ours.parent) == (theirs.has_location, theirs.parent)


@pytest.mark.parametrize(
    ("name", "files"),
    [("p.one", []), ("p.one", ["one/__init__.py", "one.py"]), ("p.one", [f"one{frugal_start._COMPILED[0]}", "one.py"])],
)
def test_packages_compiled_modules_and_what_is_not_there_are_left_to_importlib(name, files, tmp_path):
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    assert frugal_start._SubmoduleFinder().find_spec(name, [str(tmp_path)]) is None
    assert frugal_start._SubmoduleFinder().find_spec(name, None) is None
    assert frugal_start._SubmoduleFinder().find_spec(name, [str(tmp_path / "gone")]) is None
