"""Plugins through their whole life in AWS Lambda, as IMAGE and as ZIP: start, first event, freeze, thaw, end."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.deploy.lambda_api import RUNTIME, Environment, LambdaApi
from tests.deploy.programs import DEPLOY, PLAIN, SECRET, USER, logins, simulator
from tests.support import wants
from tests.support.form import UNDER_TEST
from tests.support.once import made_once
from tests.support.ports import free_port
from tests.support.simulated_biot import simulated_biot
from tests.support.wall_clock import WallClock

LAMBDA = DEPLOY / "aws-lambda"
HERE = Path(__file__).parent
EVENT = json.loads((LAMBDA / "examples" / "interceptor-event.json").read_text())
WAYS = ["image", "wrapper", "import"]
FILES = {"python": "index.py", "node": "index.mjs"}
LANGUAGES = list(FILES)
PATH = os.pathsep.join([str(Path(sys.executable).parent), PLAIN["PATH"]])
"""A bundle looks for a Python of its version on it; the one that runs the tests need not be on the PATH."""

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that build.sh makes."""
    form = {"COMPILED": "1"} if UNDER_TEST else {}
    env = {**os.environ, "PYTHON": sys.executable, **form}

    def build(folder: Path) -> None:
        subprocess.run([LAMBDA / "build.sh", folder / "biot_sidecar"], check=True, env=env)

    return made_once(tmp_path_factory, "lambda", build) / "biot_sidecar"


@dataclass
class Function:
    """A plugin of one language, deployed in one way."""

    api: LambdaApi
    environment: Environment
    runtime: list[str]
    extensions: list[Path]

    def start(self) -> bool:
        return self.environment.start(self.runtime, *self.extensions)

    def age(self) -> int:
        """One invocation; the age that the plugin puts into the intercepted request."""
        answer = self.api.invoke(EVENT)
        assert answer["statusCode"] == 200, answer
        request = json.loads(answer["body"])["request"]
        assert request["body"]["_gender"] == "FEMALE"
        return int(request["body"]["age"])

    def pid(self, part: str) -> int:
        return next(pid for pid, command in self.environment.processes().items() if part in command)


@contextmanager
def function(
    folder: Path, bundle: Path, language: str, way: str, base_url: str, handler: str = "", **more: str
) -> Iterator[Function]:
    """The plugin's files where Lambda would have them, and nothing started yet; `handler` is code to use instead."""
    task = folder / "task"
    shutil.copytree(LAMBDA / "examples" / language, task)
    if handler:
        (task / FILES[language]).write_text(handler)
    interpreter = wants.program({"python": sys.executable, "node": "node"}[language])
    runtime = [interpreter, str(HERE / {"python": "runtime.py", "node": "runtime.mjs"}[language])]
    extensions: list[Path] = []
    if way == "image":
        runtime = [str(bundle / "bin" / "plugin-env"), *runtime]
        extensions = [folder / "biot-sidecar"]
        shutil.copy(bundle / "bin" / "extension", extensions[0])
    elif way == "wrapper":
        runtime = [str(bundle / "bin" / "wrapper"), *runtime]
    elif way == "import":
        (task / "biot_sidecar").symlink_to(bundle)
        put_first(task, language)
    variables = {
        **PLAIN,
        "PATH": PATH,
        "LAMBDA_TASK_ROOT": str(task),
        "SIDECAR_HOME": str(bundle),
        "BIOT_BASE_URL": base_url,
        "BIOT_SERVICE_USER_ID": USER,
        "BIOT_SERVICE_USER_SECRET_KEY": SECRET,
        "SIDECAR_LISTEN": f"127.0.0.1:{free_port()}",
        **more,
    }
    with LambdaApi() as api:
        environment = Environment(api, folder, variables)
        try:
            yield Function(api, environment, runtime, extensions)
        finally:
            environment.kill()


def put_first(task: Path, language: str) -> None:
    """The one line that starts the sidecar from the handler."""
    line = {"python": "import biot_sidecar.start\n", "node": 'import "./biot_sidecar/start.mjs";\n'}[language]
    handler = task / FILES[language]
    handler.write_text(line + handler.read_text())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_plugin_answers_before_and_after_a_freeze_in_which_its_token_ran_out(
    language: str, way: str, bundle: Path, tmp_path: Path
) -> None:
    port = free_port()
    with (
        simulated_biot(port, token_life=2.0) as biot,
        function(tmp_path, bundle, language, way, biot) as plugin,
    ):
        assert plugin.start(), plugin.api.errors
        age = plugin.age()
        before = logins(biot)
        plugin.environment.freeze()
        wait_until(time.time() + 2.5)  # no timer of the environment runs meanwhile, the world's clock does
        plugin.environment.thaw()
        assert plugin.age() == age
        assert logins(biot) > before


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_plugin_thaws_an_hour_later_though_its_monotonic_clock_stood_still(
    language: str, way: str, bundle: Path, tmp_path: Path
) -> None:
    clock = WallClock(tmp_path / "clock")
    with (
        simulator(tmp_path, **clock.variables) as biot,
        function(tmp_path, bundle, language, way, biot, **clock.variables) as plugin,
    ):
        assert plugin.start(), plugin.api.errors
        age = plugin.age()
        assert logins(biot) == 1
        plugin.environment.freeze()
        clock.move_on(3600)  # tokens live half an hour
        plugin.environment.thaw()
        assert plugin.age() == age
        assert logins(biot) == 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_plugin_outlives_a_freeze_in_which_its_connections_and_tokens_died(
    language: str, bundle: Path, tmp_path: Path
) -> None:
    port = free_port()
    with function(tmp_path, bundle, language, "image", f"http://127.0.0.1:{port}") as plugin:
        with simulated_biot(port):
            assert plugin.start(), plugin.api.errors
            age = plugin.age()
            plugin.environment.freeze()
        with simulated_biot(port, own_key=True) as biot:  # a new one: it knows none of the old tokens
            plugin.environment.thaw()
            assert plugin.age() == age
            assert logins(biot) == 1


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_plugin_and_its_sidecar_fit_into_128_megabytes(language: str, way: str, bundle: Path, tmp_path: Path) -> None:
    with simulated_biot() as biot, function(tmp_path, bundle, language, way, biot) as plugin:
        assert plugin.start(), plugin.api.errors
        plugin.age()
        assert sum(plugin.environment.memory().values()) < 128 * 1024 * 1024


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_secret_is_out_of_the_plugins_reach(language: str, way: str, bundle: Path, tmp_path: Path) -> None:
    handler = {
        "python": "import os\n\n\ndef handler(event, context):\n    return dict(os.environ)\n",
        "node": "export const handler = async () => process.env;\n",
    }[language]
    with simulated_biot() as biot, function(tmp_path, bundle, language, way, biot, handler) as plugin:
        assert plugin.start(), plugin.api.errors
        environment = plugin.api.invoke(EVENT)
        assert SECRET not in environment.values()
        assert environment["BIOT_BASE_URL"] == f"http://{environment['SIDECAR_LISTEN']}"


def test_the_extension_ends_with_its_sidecar_when_lambda_shuts_down(bundle: Path, tmp_path: Path) -> None:
    with simulated_biot() as biot, function(tmp_path, bundle, "python", "image", biot) as plugin:
        assert plugin.start(), plugin.api.errors
        plugin.age()
        assert plugin.environment.shut_down() == [0]
        assert plugin.environment.processes() == {}


def gated(bundle: Path, home: Path) -> Path:
    """The bundle, whose sidecar goes on once something is written into the file `gate`, when it has launched."""
    package = home / "lib" / "biot_sidecar"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(
        f"""import sys
def main():
    open({str(home / "gate")!r}).read()
    sys.path[0] = {str(bundle / "lib")!r}
    del sys.modules["biot_sidecar"], sys.modules["biot_sidecar.__main__"]
    from biot_sidecar.__main__ import main
    return main()
"""
    )
    os.mkfifo(home / "gate")
    shutil.copytree(bundle / "bin", home / "bin")
    for name in ("launch.py", "start.py", "start.mjs", "routes.yaml", "__init__.py"):
        shutil.copy(bundle / name, home)
    return home


@pytest.mark.parametrize(
    ("language", "way"), [("python", "image"), ("python", "wrapper"), ("python", "import"), ("node", "import")]
)
def test_the_runtime_starts_beside_the_sidecar_and_the_first_event_waits_until_that_is_ready(
    language: str, way: str, bundle: Path, tmp_path: Path
) -> None:
    home = gated(bundle, tmp_path / "home")
    with (
        simulated_biot() as biot,
        function(tmp_path, home, language, way, biot) as plugin,
        ThreadPoolExecutor() as pool,
    ):
        started = pool.submit(plugin.start)
        assert plugin.api.wait_for(lambda: plugin.api.waiting == {RUNTIME}), plugin.api.errors
        (home / "gate").write_text("open\n")
        assert started.result() is True
        assert plugin.api.waiting == {RUNTIME, "biot-sidecar"}
        plugin.age()


CALLS = """
import json, os
from urllib.error import HTTPError
from urllib.request import urlopen


def handler(event, context):
    try:
        with urlopen(os.environ["BIOT_BASE_URL"] + "/organization/v1/users/patients/1") as answer:
            return {"statusCode": answer.status}
    except HTTPError as error:
        return {"statusCode": error.code, "code": json.load(error)["code"]}
"""


@pytest.mark.parametrize("way", WAYS)
def test_a_biot_that_hangs_is_a_504_before_each_events_deadline(way: str, bundle: Path, tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        function(
            tmp_path, bundle, "python", way, f"http://127.0.0.1:{silent.getsockname()[1]}", CALLS,
            SIDECAR_LOGIN_AT_START="0",
        ) as plugin,
    ):  # fmt: skip
        assert plugin.start(), (plugin.api.errors, plugin.environment.log())
        for seconds in (1.0, 2.0):  # by how much it is before them: tests/http/test_time_limit.py
            answer = plugin.api.invoke(EVENT, seconds)  # waits for less than the minute that calls have by default
            assert answer == {"statusCode": 504, "code": "SIDECAR_UPSTREAM_TIMEOUT"}
        assert plugin.api.events["biot-sidecar"] == ["INVOKE", "SHUTDOWN"][: 2 if way == "image" else 1]


def test_the_extension_needs_nothing_but_a_shell_and_the_sidecars_interpreter(bundle: Path, tmp_path: Path) -> None:
    """Slim bases have no curl, some no bash."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / f"python{sys.version_info.major}.{sys.version_info.minor}").symlink_to(sys.executable)
    with (
        simulated_biot() as biot,
        function(tmp_path, bundle, "python", "image", biot, PATH=str(tools)) as plugin,
    ):
        assert plugin.start(), (plugin.api.errors, plugin.environment.log())
        plugin.age()
    assert "bash" not in (bundle / "bin" / "plugin-env").read_text()


@pytest.mark.parametrize("extension", ["", "biot-sidecar"])
def test_a_launch_registers_without_what_is_for_host_names(extension: str) -> None:
    """What Python imports to encode a host that is a str takes 20 ms at 7 % of a core."""
    code = "import sys, launch; print(launch.register(sys.argv[1]), 'encodings.idna' in sys.modules)"
    with LambdaApi() as api:
        api.external = {"biot-sidecar"} if extension else set()
        ran = subprocess.run(
            [sys.executable, "-c", code, extension], cwd=LAMBDA, capture_output=True, text=True, check=True,
            env={**PLAIN, "AWS_LAMBDA_RUNTIME_API": api.address, "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        assert ran.stdout.split() == [*api.names, "False"]


def outside_of_lambda(bundle: Path, tools: Path) -> subprocess.CompletedProcess[str]:
    """What `docker run IMAGE` starts: the image's entry point, with the operator's own settings."""
    env = {
        "PATH": f"{tools}:/usr/bin:/bin",
        "BIOT_BASE_URL": "https://api.example",
        "BIOT_SERVICE_USER_SECRET_KEY": SECRET,
    }
    entry = [bundle / "bin" / "plugin-env", "sh", "-c", 'echo "plugin: $BIOT_BASE_URL"', "index.handler"]
    return subprocess.run(entry, env=env, capture_output=True, text=True, timeout=30)


def test_outside_of_lambda_the_emulator_starts_the_sidecar_with_the_real_settings(bundle: Path, tmp_path: Path) -> None:
    """Else the sidecar would be told to forward to itself."""
    emulator = tmp_path / "aws-lambda-rie"
    emulator.write_text('#!/bin/sh\necho "sidecar: $BIOT_BASE_URL"\nAWS_LAMBDA_RUNTIME_API=127.0.0.1:9001 exec "$@"\n')
    emulator.chmod(0o755)
    ran = outside_of_lambda(bundle, tmp_path)
    assert ran.stdout.splitlines() == ["sidecar: https://api.example", "plugin: http://127.0.0.1:8787"], ran.stderr


@pytest.mark.skipif(Path("/usr/local/bin/aws-lambda-rie").exists(), reason="this machine has an emulator")
def test_outside_of_lambda_an_image_without_the_emulator_says_so(bundle: Path, tmp_path: Path) -> None:
    ran = outside_of_lambda(bundle, tmp_path)
    assert ran.returncode == 1
    assert "no aws-lambda-rie" in ran.stderr


def test_lambda_hears_of_a_sidecar_that_cannot_start(bundle: Path, tmp_path: Path) -> None:
    with function(tmp_path, bundle, "python", "image", "ftp://not.a.biot") as plugin:
        assert not plugin.start()
        assert plugin.api.errors[0] == "Extension.SidecarDidNotStart"
        assert "BIOT_BASE_URL" in plugin.environment.log()


def test_lambda_hears_of_a_sidecar_that_ended_and_replaces_the_environment(bundle: Path, tmp_path: Path) -> None:
    with simulated_biot() as biot, function(tmp_path, bundle, "python", "image", biot) as plugin:
        assert plugin.start(), plugin.api.errors
        os.kill(plugin.pid("launch.py"), 9)
        assert not plugin.api.wait_for(lambda: False)
        assert plugin.api.errors == ["Extension.Crash"]


@pytest.mark.parametrize("way", ["wrapper", "import"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_plugin_ends_with_its_sidecar_and_lambda_replaces_the_environment(
    language: str, way: str, bundle: Path, tmp_path: Path
) -> None:
    with simulated_biot() as biot, function(tmp_path, bundle, language, way, biot) as plugin:
        assert plugin.start(), plugin.api.errors
        plugin.age()
        os.kill(plugin.pid("launch.py"), 9)
        assert not plugin.api.wait_for(lambda: False)
        assert plugin.api.errors == ["Runtime.ExitError"]


@pytest.mark.parametrize("way", ["wrapper", "import"])
def test_a_plugin_whose_sidecar_cannot_start_does_not_start_either(way: str, bundle: Path, tmp_path: Path) -> None:
    with function(tmp_path, bundle, "python", way, "ftp://not.a.biot") as plugin:
        assert not plugin.start()
        assert "BIOT_BASE_URL" in plugin.environment.log()


def test_a_bundle_is_spared_the_packages_that_serve_does_not_import(bundle: Path) -> None:
    packages = {path.name for path in (bundle / "lib").iterdir()}
    assert {"biot_sidecar", "uvloop", "httptools"} < packages
    assert not packages & {"aiohttp", "cryptography", "redis"}


def test_a_bundle_looks_cas_up_where_the_system_has_but_one_file_of_them(bundle: Path, tmp_path: Path) -> None:
    """As Lambda's Linux; the program reads none of them at its start."""
    listed = bundle / "lib" / "biot_sidecar" / "data" / "ca" / "certificates.pem"
    file = tmp_path / "ca-bundle.crt"
    file.write_bytes(listed.read_bytes())
    code = "from biot_sidecar.http.tls import tls_context; print(tls_context(None).cert_store_stats())"
    cas = {"SSL_CERT_FILE": str(file), "SSL_CERT_DIR": str(tmp_path)}
    system = {**PLAIN, **cas, "PATH": PATH, "HERE": str(bundle / "lib")}
    command = [bundle / "bin" / "python", "-c", f"import os, sys; sys.path.insert(0, os.environ['HERE']); {code}"]
    ran = subprocess.run(command, env=system, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == str({"x509": 0, "crl": 0, "x509_ca": 0})
    assert listed.read_bytes().count(b"BEGIN CERTIFICATE") > 0


def test_a_bundle_is_compiled_on_request(bundle: Path) -> None:
    compiled = [path.name for path in (bundle / "lib").glob("biot_sidecar__mypyc*.so")]
    assert bool(compiled) is bool(UNDER_TEST)


def test_a_bundle_for_another_python_says_so(bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(bundle, tmp_path / "other")
    program = tmp_path / "other" / "bin" / "python"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    program.write_text(program.read_text().replace(f"version={version}", "version=2.0"))
    ended = subprocess.run([program.with_name("biot-sidecar"), "--version"], capture_output=True, text=True)
    assert ended.returncode == 1
    assert "there is no python2.0 here" in ended.stderr


@pytest.mark.slow
@pytest.mark.thorough
def test_a_bundle_may_take_a_python_along(tmp_path: Path) -> None:
    home, folder = tmp_path / "python", tmp_path / "biot_sidecar"
    (home / "bin").mkdir(parents=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for name in ("python3", version):
        (home / "bin" / name).symlink_to(sys.executable)
    (home / "lib").symlink_to(Path(os.__file__).parents[1])
    build = {**os.environ, "PYTHON": "/not/used", "PYTHON_HOME": str(home)}
    subprocess.run([LAMBDA / "build.sh", folder], check=True, env=build)
    nothing_else = {"PATH": "/usr/bin:/bin"}
    said = subprocess.run(
        [folder / "bin" / "biot-sidecar", "--version"], capture_output=True, text=True, env=nothing_else
    )
    assert said.stdout.startswith("biot-sidecar "), said.stderr


def wait_until(moment: float) -> None:
    """Returns once the wall clock has passed `moment`."""
    while (left := moment - time.time()) > 0:
        time.sleep(left)
