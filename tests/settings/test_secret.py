"""Values that must never show what they hold."""

from __future__ import annotations

import pickle

import pytest
from biot_sidecar.settings.secret import Secret

TEXT = "s3cr3t-canary"


@pytest.mark.parametrize(
    "show", [repr, str, "{}".format, "{!r}".format, "%s".__mod__, lambda one: repr([one, {1: one}])]
)
def test_a_secret_never_shows(show):
    assert TEXT not in show(Secret(TEXT))


def test_a_secret_is_revealed_on_purpose_alone_and_compares_by_its_text():
    assert Secret(TEXT).reveal() == TEXT
    assert Secret(TEXT) == Secret(TEXT) != Secret("other")
    assert Secret(TEXT) != TEXT
    assert len({Secret(TEXT), Secret(TEXT)}) == 1


def test_a_secret_is_not_pickled():
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(Secret(TEXT))
