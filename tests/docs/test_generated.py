"""The pages list what the code knows: tables that are made, and a section for each thing that they list."""

from __future__ import annotations

import re

import pytest
import yaml
from biot_sidecar.errors import Code

from tests.docs.generated import BLOCKS, DOCS, ROOT, inside

RULES = [
    rule
    for group in yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def sections(text: str, level: str = "###") -> dict[str, str]:
    """Heading -> what stands below it."""
    parts = re.split(rf"^{level} (.*)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], (re.split(r"^#", part, flags=re.MULTILINE)[0] for part in parts[2::2]), strict=True))


@pytest.mark.parametrize(("name", "block"), [(name, block) for name, blocks in BLOCKS.items() for block in blocks])
def test_a_table_says_what_the_code_says(name: str, block: str) -> None:
    assert inside(page(name), block) == BLOCKS[name][block](), "run `make docs`"


def test_each_code_has_a_section_that_says_what_happened_what_to_do_and_whether_to_send_it_again() -> None:
    told = sections(page("errors.md"))
    assert sorted(told) == sorted(code.value for code in Code)
    for code, text in told.items():
        assert re.findall(r"^- \*\*(.*?)\*\*", text, re.MULTILINE) == ["What happened:", "What to do:", "Again?"], code


def test_each_alert_has_a_section_that_says_what_it_means_and_what_to_do() -> None:
    told = sections(page("metrics.md"))
    assert sorted(told) == sorted(rule["alert"] for rule in RULES)
    for alert, text in told.items():
        assert re.findall(r"^- \*\*(.*?)\*\*", text, re.MULTILINE) == ["It means:", "Do:"], alert
