"""The page of settings' table, made from the one in the program (tests/docs/generated.py puts it there)."""

from __future__ import annotations

from biot_sidecar.settings.table import FLAGS, SETTINGS, Setting

HEAD = "| environment | flag | default | meaning |\n|---|---|---|---|\n"


def table() -> str:
    return HEAD + "".join(map(row, SETTINGS))


def row(setting: Setting) -> str:
    flag = f"`{FLAGS[setting.name]}`" if setting.name in FLAGS else ""
    default = f"`{setting.default}`" if setting.default else setting.unset_means
    return f"| `{setting.name}` | {flag} | {default} | {setting.help} |\n"
