"""The service user's own secret keys: made, shown, ended, deleted; at most so many at once."""

from __future__ import annotations

import pytest
from biot_sidecar.simulator.login import ServiceLogin
from biot_sidecar.simulator.options import SimulatorOptions
from biot_sidecar.simulator.secret_keys import SecretKeys
from biot_sidecar.simulator.tokens import Signer, Tokens
from biot_sidecar.simulator.values import BiotError, Call, instant

from tests.simulator.helpers import CREDENTIALS, NOW

LATER = "2033-05-18T03:33:20.000Z"


@pytest.fixture
def keys() -> SecretKeys:
    return SecretKeys(SimulatorOptions(), NOW)


def call(now: float = NOW, **variables: str) -> Call:
    return Call(now=now, variables=variables)


def test_a_new_keys_secret_is_shown_once_and_logs_in(keys):
    made = keys.create(call())
    assert made.status == 201
    assert sorted(made.body) == ["creationTime", "id", "secretKey"]
    shown = keys.read_self(call()).body["secretKeys"]
    assert [key["id"] for key in shown][1] == made.body["id"]
    assert made.body["secretKey"] not in str(shown)
    login = ServiceLogin(SimulatorOptions(), Tokens(Signer()), lambda user: keys)
    for secret in (CREDENTIALS["secretKey"], made.body["secretKey"]):
        assert login.log_in(Call(now=NOW, body=CREDENTIALS | {"secretKey": secret})).status == 200


def test_a_key_that_was_deleted_logs_in_no_more(keys):
    first = keys.shown()[0]["id"]
    keys.create(call())
    assert keys.delete(call(secretKeyId=first)).status == 204
    assert not keys.accept(CREDENTIALS["secretKey"], NOW)
    with pytest.raises(BiotError) as caught:
        keys.delete(call(secretKeyId=first))
    assert (caught.value.status, caught.value.code) == (404, "SECRET_KEY_ID_NOT_FOUND")


def test_there_are_at_most_so_many(keys):
    keys.create(call())
    with pytest.raises(BiotError) as caught:
        keys.create(call())
    assert (caught.value.status, caught.value.code) == (409, "MAX_SECRET_KEYS")
    assert caught.value.details["maxSecretKeys"] == 2


def test_keys_end_when_it_is_set(keys):
    keys.change({"expirationTime": LATER, "life": 60, "max": 3})
    end = instant(LATER)
    assert keys.shown()[0]["expirationTime"] == LATER
    assert keys.accept(CREDENTIALS["secretKey"], end - 1)
    assert not keys.accept(CREDENTIALS["secretKey"], end)
    assert instant(keys.create(call()).body["expirationTime"]) == NOW + 60
    keys.change({"expirationTime": None})
    assert "expirationTime" not in keys.shown()[0]


@pytest.mark.parametrize(
    "document", [{"expires": LATER}, {"expirationTime": "soon"}, {"life": 0}, {"life": True}, {"max": 0}, {"max": "2"}]
)
def test_what_cannot_be_set_is_a_400_and_changes_nothing(keys, document):
    before = keys.shown(), keys.life, keys.most
    with pytest.raises(BiotError) as caught:
        keys.change(document)
    assert caught.value.status == 400
    assert (keys.shown(), keys.life, keys.most) == before
