"""A mark on interfaces, for the compiler: it finds a trait's members at fixed places, a Protocol's by their names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_extensions import trait as trait
else:

    def trait(cls: type) -> type:
        """The mark means nothing to an interpreter, so what defines it need not be installed."""
        return cls
