"""A start that spares itself what nobody needs yet; docs/decisions/0011 says what each part saves.

A start is nearly all imports. Asyncio, msgspec and PyYAML compile regular expressions while they are imported, one of
them, for PyYAML's parser in Python, as long as a tenth of the start; libyaml needs none. They import `inspect`, with
`ast` and `dis`, of which a running sidecar asks one function. And the garbage collector, which looks for cycles at
every 700th object, finds next to nothing, since what a start makes stays.
"""

from __future__ import annotations

import gc
import importlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec, PathFinder, SourceFileLoader
from types import GeneratorType, ModuleType
from typing import Any, Final

from biot_sidecar import precompiled_regexes
from biot_sidecar.compiled_modules import CompiledFinder

_LIBRARIES: Final = ("asyncio", "msgspec", "urllib.parse", "json")
"""What every start imports and compiles expressions meanwhile. (Our own modules compile what every request needs.)"""
_LIBRARIES_OF_SOME: Final = frozenset({"yaml"})
"""As _LIBRARIES, for a start that comes to import them."""
_CLASSES_HOLD_ANNOTATIONS: Final = sys.version_info < (3, 14)
"""Since then a class makes them when it is asked, by `annotationlib`, which imports `ast`."""
_LATER: Final[dict[str, tuple[str, ...]]] = (
    {}
    if _CLASSES_HOLD_ANNOTATIONS
    else {
        "annotationlib": ("Format", "call_annotate_function", "get_annotations"),
        "asyncio.graph": (
            *("FrameCallGraphEntry", "FutureCallGraph"),
            *("capture_call_graph", "format_call_graph", "print_call_graph"),
        ),
    }
)
"""What msgspec and asyncio take these names of, to which nobody comes back. (A graph is made of dataclasses.)"""
_ASKED_BY_FEW: Final = (
    *(() if _CLASSES_HOLD_ANNOTATIONS else ("_colorize",)),
    *("locale", "msgspec.inspect", "textwrap", "tokenize"),
)
"""What asyncio and msgspec import for calls that a running sidecar does not make: 0.3 MB. (`_colorize` knows how a
traceback looks on a terminal, in thirty dataclasses.)"""
_COMPILED: Final = tuple(EXTENSION_SUFFIXES)
_NEW_OBJECTS: Final = 50_000
"""Objects made and not freed after which garbage is looked for. With 1,000 requests in flight there are always more
than Python's 700, and each look, 8 % of a request's instructions, finds nothing: what a request makes is in no cycle.
"""
_CO_COROUTINE: Final = 0x80
"""The flag of a function that was defined by `async def` (inspect.CO_COROUTINE)."""
_ends: Final[list[Callable[[], None]]] = []
"""What `begin` began and `end` is to end."""


def begin() -> None:
    """Import what a serving process needs of others, and collect no garbage until `end`."""
    gc.disable()
    _ends.append(precompiled_regexes.use())
    # Behind the finder of compiled modules, which has the first word where there are any.
    sys.meta_path.insert(isinstance(sys.meta_path[0], CompiledFinder), _FINDER)
    defer(
        "inspect",
        iscoroutinefunction=_is_coroutine_function,
        isgenerator=_is_generator,
        unwrap=_unwrapped,
        **({"get_annotations": _annotations} if _CLASSES_HOLD_ANNOTATIONS else {}),
    )
    for name in _ASKED_BY_FEW:
        defer(name)
    for name, names in _LATER.items():
        if name not in sys.modules:
            _FINDER.later[name] = names
    with (
        _expressions_compiled_when_used(),
        _no_forward_references(),
        _instead_of("typing_extensions", None),
        _instead_of("decimal", _stand_in("decimal", Decimal=_NoValue)),
        _instead_of("uuid", _stand_in("uuid", UUID=_NoValue, SafeUUID=_NoValue)),
    ):
        for name in _LIBRARIES:
            importlib.import_module(name)


def end() -> None:
    """Collect garbage again, without ever looking at what the start has made: that stays."""
    while _ends:
        _ends.pop()()
    if _FINDER in sys.meta_path:
        sys.meta_path.remove(_FINDER)
        gc.freeze()
        gc.set_threshold(_NEW_OBJECTS, 10, 10)
        gc.enable()


class _SubmoduleFinder:
    """Finds the modules in Python of packages that are one folder, of which a start imports 250, in a third of the
    instructions of importlib's own finder: a folder is listed once, and a module's byte code is where it always is.

    What it does not find it leaves to the others.
    """

    def __init__(self) -> None:
        self._names: dict[str, frozenset[str]] = {}
        self.later: dict[str, tuple[str, ...]] = {}
        """Modules that a stand-in is to be found of, once, and what others take of them."""

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: object = None) -> ModuleSpec | None:
        if name in self.later:
            return ModuleSpec(name, _StandInLoader(self.later.pop(name)))  # type: ignore[arg-type]
        if name in _LIBRARIES_OF_SOME:
            return _found_without_expressions(name)
        if path is None:
            return None
        folder, last = path[0], name.rpartition(".")[2]
        if folder not in self._names:
            self._names[folder] = _listed(folder)
        names = self._names[folder]
        if f"{last}.py" not in names or last in names or any(f"{last}{suffix}" in names for suffix in _COMPILED):
            return None
        file = f"{folder}/{last}.py"
        spec = ModuleSpec(name, SourceFileLoader(name, file), origin=file)
        spec.has_location = True
        spec.cached = f"{folder}/__pycache__/{last}.{sys.implementation.cache_tag}.pyc"
        return spec


_FINDER: Final = _SubmoduleFinder()


class _LoaderWithoutExpressions(SourceFileLoader):
    """Compiles no regular expression that a package makes while it is imported."""

    def exec_module(self, module: ModuleType) -> None:
        with _expressions_compiled_when_used():
            super().exec_module(module)


def _found_without_expressions(name: str) -> ModuleSpec | None:
    spec = PathFinder.find_spec(name)
    if spec is not None and type(spec.loader) is SourceFileLoader:
        spec.loader = _LoaderWithoutExpressions(name, spec.loader.path)
    return spec


def _listed(folder: str) -> frozenset[str]:
    with suppress(OSError):
        return frozenset(os.listdir(folder))
    return frozenset()


class _Deferred(ModuleType):
    """Stands for a module, which is imported once somebody asks for more than the stand-in has."""

    def __getattr__(self, name: str) -> Any:
        if name == "__path__":
            raise AttributeError(name)  # it is no package: so `from ... import` asks
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        module = importlib.import_module(self.__name__)
        self.__dict__.update(module.__dict__)
        return getattr(module, name)


class _Later:
    """Stands for a function or class of a deferred module."""

    def __init__(self, module: str, name: str) -> None:
        self._place = module, name

    def _real(self) -> Any:
        return _of(*self._place)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._real()(*arguments, **named)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name)

    def __instancecheck__(self, value: object) -> bool:
        return isinstance(value, self._real())


class _StandInLoader:
    """Loads a deferred module that knows these names, and gives all of them to `from ... import *`."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = _Deferred(spec.name)
        module.__dict__.update({name: _Later(spec.name, name) for name in self._names}, __all__=self._names)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing to run yet."""


def defer(name: str, **known: Any) -> None:
    """Let `import name` cost nothing until somebody asks it for more than is known already."""
    if name not in sys.modules:
        stand_in = sys.modules[name] = _Deferred(name)
        stand_in.__dict__.update(known)


class _DeferredPackage(_Deferred):
    """Stands for a package whose modules are imported one by one, and for all of it once somebody asks for more."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or _spec_of(f"{self.__name__}.{name}") is not None:
            raise AttributeError(name)  # the import of a module looks here first
        value = super().__getattr__(name)
        whole, inside = sys.modules[self.__name__], f"{self.__name__}."
        for loaded, module in list(sys.modules.items()):
            if loaded.startswith(inside) and "." not in (last := loaded.removeprefix(inside)):
                whole.__dict__.setdefault(last, module)
        return value


def defer_package(name: str) -> None:
    """Let a package's modules be imported without all that the package imports for its other users."""
    spec = None if name in sys.modules else _spec_of(name)
    if spec is None or spec.origin is None or spec.submodule_search_locations is None:
        return
    stand_in = sys.modules[name] = _DeferredPackage(name)
    stand_in.__dict__.update(__spec__=spec, __file__=spec.origin, __path__=list(spec.submodule_search_locations))
    with open(spec.origin, encoding="utf-8") as source:
        stand_in.__dict__["__version__"] = _version_in(source)


def _spec_of(name: str) -> ModuleSpec | None:
    from importlib.util import find_spec  # which serving does without

    return find_spec(name)


def _version_in(source: Iterable[str]) -> str:
    line = next((line for line in source if line.startswith("__version__")), "")
    return line.partition("=")[2].strip().strip("\"'")


def _is_coroutine_function(function: Any) -> bool:
    """inspect.iscoroutinefunction, which uvloop asks of a signal's handler."""
    while isinstance(function, partial):
        function = function.func
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & _CO_COROUTINE)


def _is_generator(value: Any) -> bool:
    """inspect.isgenerator, which uvloop takes hold of."""
    return isinstance(value, GeneratorType)


def _annotations(value: Any, **how: Any) -> Any:
    """inspect.get_annotations, which dataclasses asks for each of their classes since Python 3.12."""
    if isinstance(value, type) and not how:
        return dict(value.__dict__.get("__annotations__") or {})  # noqa: RUF063 - this is it
    return _of("inspect", "get_annotations")(value, **how)


def _unwrapped(function: Any, **how: Any) -> Any:
    """inspect.unwrap, which dataclasses asks for each method of a class with slots since Python 3.14."""
    if how:
        return _of("inspect", "unwrap")(function, **how)
    seen = []
    while hasattr(function, "__wrapped__"):
        seen.append(function)
        function = function.__wrapped__
        if any(one is function for one in seen):
            raise ValueError(f"wrapper loop when unwrapping {seen[0]!r}")
    return function


def _of(name: str, attribute: str) -> Any:
    """The real module's."""
    module = importlib.import_module(name)
    return module.__getattr__(attribute) if isinstance(module, _Deferred) else getattr(module, attribute)


class Expression:
    """A regular expression that is compiled when it is used first."""

    _compile: Final = staticmethod(re.compile)

    def __init__(self, pattern: Any, flags: int = 0) -> None:
        self._arguments = (pattern, flags)

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._compile(*self._arguments), name)
        self.__dict__[name] = value
        return value

    def match(self, *arguments: Any) -> Any:
        """As re.Pattern.match: `json` takes hold of the bound method while it is imported."""
        return self.__getattr__("match")(*arguments)


@contextmanager
def _expressions_compiled_when_used() -> Iterator[None]:
    compile_now, re.compile = re.compile, Expression  # type: ignore[assignment]
    try:
        yield
    finally:
        re.compile = compile_now


@contextmanager
def _no_forward_references() -> Iterator[None]:
    """msgspec makes one to see whether it can, for which `typing` compiles a word; the first `compile()` of a process
    makes the classes of `ast`. Since Python 3.14 it imports `annotationlib` besides.
    """
    typing = importlib.import_module("typing").__dict__
    name, value = ("compile", _compiled_unless_tried) if _CLASSES_HOLD_ANNOTATIONS else ("ForwardRef", _NoValue)
    if name in typing:
        yield
        return
    typing[name] = value
    try:
        yield
    finally:
        del typing[name]


def _compiled_unless_tried(source: Any, *how: Any) -> Any:
    return None if source == "Foo" else compile(source, *how)


class _NoValue:
    """What msgspec takes for types of which the sidecar has no values: their modules are 0.7 MB."""

    unknown = None

    def __init__(self, *arguments: object, **named: object) -> None:
        """Made of anything."""


def _stand_in(name: str, **names: object) -> ModuleType:
    module = ModuleType(name)
    module.__dict__.update(names)
    return module


@contextmanager
def _instead_of(name: str, module: ModuleType | None) -> Iterator[None]:
    """Let msgspec import that, or nothing, instead of a module that others may import afterwards."""
    absent = name not in sys.modules
    if absent:
        sys.modules[name] = module  # type: ignore[assignment]
    try:
        yield
    finally:
        if absent:
            del sys.modules[name]
