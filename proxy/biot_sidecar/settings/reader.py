"""Reads settings by their rows, one value each, and keeps every problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from biot_sidecar.extras import lack_of
from biot_sidecar.settings.parsers import BadItems
from biot_sidecar.settings.table import BY_NAME, OTHERS, Setting, flags_for
from biot_sidecar.suggest import suggest


class Reader:
    """Flag over environment over default; `flags` are keyed by setting name. Problems name the flag of `command`."""

    def __init__(self, env: Mapping[str, str], flags: Mapping[str, str], command: str = "serve") -> None:
        self.env = env
        self._flags = flags
        self._flag_names = flags_for(command)
        self._values: dict[str, Any] = {}
        self.problems: list[str] = []
        self.warnings: list[str] = []

    def value(self, name: str) -> Any:
        """A setting's value, read once; what its row has for an unset one if it is wrong."""
        if name not in self._values:
            self._values[name] = self._read(BY_NAME[name])
        return self._values[name]

    def text(self, name: str) -> str:
        """What was given for a setting, or its default."""
        row = BY_NAME[name]
        if row.keeps_blanks:
            return self.env.get(name, "")
        given = (source.get(name, "").strip() for source in (self._flags, self.env))
        return next(filter(None, given), row.default)

    def shared(self, name: str) -> tuple[str, str]:
        """A variable that other programs read as well: how it is spelt, and its text. Lower case wins."""
        spellings = ((spelling, self.env.get(spelling, "").strip()) for spelling in (name.lower(), name))
        return next(((spelling, text) for spelling, text in spellings if text), (name, ""))

    def problem(self, name: str, reason: str) -> None:
        shown = self._flag_names.get(name, name) if self._by_flag(name) else name
        self.problems.append(f"{shown}: {reason}")

    def warn(self, name: str, reason: str) -> None:
        self.warnings.append(f"{name}: {reason}")

    def misspelt(self) -> list[str]:
        """A warning for each name in the environment that is a setting's but for a slip.

        Unknown names are no more than odd: Kubernetes makes SIDECAR_ ones up for a service called sidecar, and BIOT_
        ones are BioT's own.
        """
        near = {name: self._near(name) for name in sorted(self.env) if name not in BY_NAME and name not in OTHERS}
        return [f"{name} is no setting; did you mean {one}?" for name, one in near.items() if one]

    def _read(self, row: Setting) -> Any:
        text = self.text(row.name)
        if not text:
            if row.required:
                self.problem(row.name, row.required)
            return row.unset
        try:
            value = row.parse(text)
        except BadItems as error:
            for reason in error.reasons:
                self.problem(row.name, reason)
            return error.good
        except ValueError as error:
            self.problem(row.name, str(error))
            return row.unset
        if row.extra and value and (lack := lack_of(row.extra)):
            self.problem(row.name, lack)
        return value

    def _by_flag(self, name: str) -> bool:
        """True where a flag says what the setting is; an empty one says nothing."""
        return bool(self._flags.get(name, "").strip())

    def _near(self, name: str) -> str | None:
        spelled = name.upper()
        if not spelled.startswith(("SIDECAR_", "BIOT_")):
            return None
        one = spelled if spelled in BY_NAME else suggest(spelled, BY_NAME, 0.8)
        return None if one is None or (one.startswith("BIOT_") and self.env.get(one)) else one
