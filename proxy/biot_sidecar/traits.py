"""Marks on interfaces, for the compiler: it finds a trait's members at fixed places, a Protocol's by their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_extensions import mypyc_attr as mypyc_attr
    from mypy_extensions import trait as trait
else:
    # The marks mean nothing to an interpreter, so what defines them need not be installed.

    def trait(cls: type) -> type:
        """A class that others inherit from beside their base."""
        return cls

    def mypyc_attr(**_: bool) -> Callable[[type], type]:
        """What the compiler is told of a class; `allow_interpreted_subclasses`: the fakes of tests are such."""
        return trait
