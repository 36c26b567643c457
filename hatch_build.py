"""The wheel's build hook: BIOT_SIDECAR_COMPILED=1 puts the forwarding path into it compiled, beside its sources.

mypyc makes a library of the modules that pyproject.toml lists; biot_sidecar/compiled_modules.py finds them in it. The
source tree stays as it is, and so does every build without the variable; an editable install is never compiled.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

VARIABLE = "BIOT_SIDECAR_COMPILED"
# A module of the tests to compile along: what is not compiled can only inherit from what was compiled in the same run.
ALSO = "BIOT_SIDECAR_COMPILED_ALSO"
# In a process of its own: mypyc and setuptools end it when they fail, and setuptools must not read our pyproject.toml.
# A compiler's new warning is no reason to stop: the C is not ours. What nobody outside calls is called directly, and
# what nobody calls at all goes. mypyc's extension for each module, which holds its entry point alone, goes into the
# library (PEP 489, "Multiple modules in one library").
SETUP = """
import sys
from setuptools import setup
from mypyc.build import mypycify
library, *modules = mypycify(sys.argv[2:], opt_level="2", debug_level="0", group_name="biot_sidecar")
with open("entry_points.c", "w") as entry_points:
    for module in modules:
        name = module.name.replace(".", "_")
        print(f"#define PyInit___init__ PyInit_no_{name}", file=entry_points)
        print(f'#include "{module.sources[0]}"', file=entry_points)
        print("#undef PyInit___init__", file=entry_points)
library.sources.append("entry_points.c")
library.extra_compile_args.append("-Wno-error")
if sys.platform == "linux":
    library.extra_compile_args += ["-fvisibility=hidden", "-ffunction-sections", "-fno-asynchronous-unwind-tables"]
    library.extra_link_args.append("-Wl,--gc-sections")
setup(name="biot_sidecar", script_args=["-q", "build_ext", "--build-lib", sys.argv[1]], ext_modules=[library])
"""


class Compiled(BuildHookInterface[BuilderConfig]):
    """Adds extensions to a wheel whose builder asked for them."""

    def dependencies(self) -> list[str]:
        """For builds in an environment of their own. Our own dependencies are among them for their types."""
        if not asked():
            return []
        groups = tomllib.loads(Path(self.root, "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
        extras = self.metadata.core.optional_dependencies
        beside = [needed for extra, needs in extras.items() if extra != "all" for needed in needs]
        return [*self.metadata.core.dependencies, *beside, *groups["compile"]]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or not asked():
            return
        if lacking := missing():
            self.app.abort(
                f"{VARIABLE}=1 needs {' and '.join(lacking)}; without it the same program is made uncompiled"
            )
        self._work = TemporaryDirectory()
        built = Path(self._work.name, "built")
        told = self._compile(Path(self._work.name), built)
        if told.returncode:
            self.app.abort(f"{VARIABLE}=1: mypyc or the C compiler failed:\n{told.stdout}")
        extensions = [path for path in built.rglob("*") if path.is_file()]
        build_data["force_include"] |= {str(path): str(path.relative_to(built)) for path in extensions}
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_work"):
            self._work.cleanup()

    def _compile(self, work: Path, built: Path) -> subprocess.CompletedProcess[str]:
        """Compiles a copy of the sources in `work`; the extensions lie in `built` then, as the wheel will have them."""
        shutil.copytree(
            Path(self.root, "proxy", "biot_sidecar"),
            work / "biot_sidecar",
            ignore=shutil.ignore_patterns("__pycache__"),
        )
        also = [Path(shutil.copy(Path(self.root, name), work)).name for name in os.environ.get(ALSO, "").split()]
        options = [f"--config-file={self.root}/pyproject.toml", "--no-warn-unused-ignores"]
        command = [
            sys.executable,
            "-c",
            SETUP,
            str(built),
            *options,
            *(module.removeprefix("proxy/") for module in self.config["modules"]),
            *also,
        ]
        return subprocess.run(
            command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )


def asked() -> bool:
    return os.environ.get(VARIABLE) == "1"


def missing() -> list[str]:
    """What one has to install before anything can be compiled."""
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    found = {
        f"the C compiler {compiler}": shutil.which(compiler),
        "Python's headers": Path(sysconfig.get_path("include"), "Python.h").is_file(),
        "mypy": importlib.util.find_spec("mypyc"),
        "setuptools": importlib.util.find_spec("setuptools"),
    }
    return [name for name, there in found.items() if not there]
