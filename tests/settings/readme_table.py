"""README's table of settings, made from the one in the program: `make readme` writes it anew."""

from __future__ import annotations

from pathlib import Path

from biot_sidecar.settings.table import FLAGS, SETTINGS, Setting

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- settings: made by `make readme` -->\n", "<!-- end of settings -->\n"
HEAD = "| environment | flag | default | meaning |\n|---|---|---|---|\n"


def table() -> str:
    return HEAD + "".join(map(row, SETTINGS))


def row(setting: Setting) -> str:
    flag = f"`{FLAGS[setting.name]}`" if setting.name in FLAGS else ""
    default = f"`{setting.default}`" if setting.default else setting.unset_means
    return f"| `{setting.name}` | {flag} | {default} | {setting.help} |\n"


def parts(text: str) -> tuple[str, str, str]:
    """README before, in and behind the table."""
    before, _, rest = text.partition(BEGIN)
    inside, _, behind = rest.partition(END)
    return before + BEGIN, inside, END + behind


if __name__ == "__main__":
    before, _, behind = parts(README.read_text())
    README.write_text(before + table() + behind)
