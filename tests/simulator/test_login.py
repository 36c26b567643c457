"""Login: BioT's tokens, refusals, the lock, revocation."""

from __future__ import annotations

import base64
import json
import logging
from typing import Any

import jwt
import pytest
from biot_sidecar.settings.secret import Secret
from biot_sidecar.simulator.login import ServiceLogin
from biot_sidecar.simulator.options import SimulatorOptions
from biot_sidecar.simulator.secret_keys import SecretKeys
from biot_sidecar.simulator.tokens import Signer, Tokens
from biot_sidecar.simulator.values import Answer, BiotError, Call, instant
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests.simulator.helpers import CREDENTIALS, NOW

WRONG = CREDENTIALS | {"secretKey": "wrong"}


class Door:
    """A ServiceLogin asked at chosen times."""

    def __init__(self, signer: Signer, options: SimulatorOptions | None = None) -> None:
        self.tokens = Tokens(signer)
        options = options or SimulatorOptions()
        keys = {options.service_user_id: SecretKeys(options, NOW)}
        self.login = ServiceLogin(options, self.tokens, keys.get)

    def enter(self, credentials: Any = CREDENTIALS, at: float = NOW) -> Answer:
        return self.login.log_in(Call(body=credentials, now=at))

    def token(self, at: float = NOW) -> str:
        return f"Bearer {self.enter(at=at).body['accessToken']}"

    def refusal(self, credentials: Any, at: float = NOW) -> tuple[int, str]:
        with pytest.raises(BiotError) as refused:
            self.enter(credentials, at)
        return refused.value.status, refused.value.code


@pytest.fixture
def door(signer: Signer) -> Door:
    return Door(signer)


def test_a_login_answers_a_token_and_its_end_to_the_millisecond(door: Door) -> None:
    answer = door.enter(at=NOW + 0.945)
    assert answer.status == 200
    assert set(answer.body) == {"accessToken", "accessTokenExpiration"}
    assert answer.body["accessTokenExpiration"] == "2025-11-24T16:30:00.945Z"


def test_the_token_is_an_rs512_jwt_with_biots_header_and_claims(door: Door) -> None:
    answer = door.enter()
    head, payload, _ = answer.body["accessToken"].split(".")
    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "RS512"}
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert set(claims) == {"serviceUserId", "scopes", "tokenType", "jti", "exp"}
    assert claims["serviceUserId"] == CREDENTIALS["id"]
    assert claims["tokenType"] == "SERVICE_INTERNAL"
    assert "PROTECTED_API" in claims["scopes"]
    assert claims["exp"] == instant(answer.body["accessTokenExpiration"]) == NOW + 1800


def test_the_token_can_be_checked_with_the_public_key(door: Door) -> None:
    answer = door.login.public_key(Call())
    key: Any = load_der_public_key(base64.b64decode(answer.body["publicKey"]))
    assert key.key_size == 2048
    token = door.enter().body["accessToken"]
    assert jwt.decode(token, key, algorithms=["RS512"], options={"verify_exp": False})["jti"]


def test_two_logins_give_two_tokens(door: Door) -> None:
    assert door.token() != door.token()
    assert [entry["number"] for entry in door.tokens.shown()] == [1, 2]


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"id": "x"},
        {"secretKey": "x"},
        {"id": 1, "secretKey": "x"},
        {"id": "x", "secretKey": None},
        {"id": "", "secretKey": ""},
    ],
)
def test_a_body_without_both_texts_is_a_bad_request(door: Door, body: Any) -> None:
    assert door.refusal(body) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("credentials", [WRONG, {"id": "someone-else", "secretKey": CREDENTIALS["secretKey"]}])
def test_a_wrong_id_or_secret_fails_the_login(door: Door, credentials: Any) -> None:
    assert door.refusal(credentials) == (403, "LOGIN_FAILED")
    assert (door.login.logins, door.login.failed) == (0, 1)


def test_several_wrong_secrets_in_a_row_lock_the_service_user_and_say_so(
    signer: Signer, caplog: pytest.LogCaptureFixture
) -> None:
    door = Door(signer, SimulatorOptions(lock_after=3, lock_seconds=60))
    with caplog.at_level(logging.WARNING, logger="biot_sidecar.simulator"):
        for _ in range(3):
            assert door.refusal(WRONG) == (403, "LOGIN_FAILED")
    assert caplog.messages == ["the service user is locked for 60s after 3 failed logins in a row"]
    assert door.refusal(WRONG) == (401, "SERVICE_LOCKED")
    assert door.refusal(CREDENTIALS, NOW + 59) == (401, "SERVICE_LOCKED")
    assert door.enter(at=NOW + 60).status == 200
    assert door.refusal(WRONG, NOW + 60) == (403, "LOGIN_FAILED")


def test_a_right_login_between_forgives_the_wrong_ones(signer: Signer) -> None:
    door = Door(signer, SimulatorOptions(lock_after=2))
    for _ in range(3):
        assert door.refusal(WRONG) == (403, "LOGIN_FAILED")
        assert door.enter().status == 200


def test_a_stranger_cannot_lock_the_service_user(signer: Signer) -> None:
    door = Door(signer, SimulatorOptions(lock_after=2))
    for _ in range(5):
        assert door.refusal({"id": "stranger", "secretKey": "guess"}) == (403, "LOGIN_FAILED")
    assert door.enter().status == 200


def test_the_service_user_is_the_one_of_the_options(signer: Signer) -> None:
    door = Door(signer, SimulatorOptions(service_user_id="mine", secret=Secret("s3")))
    assert door.refusal(CREDENTIALS) == (403, "LOGIN_FAILED")
    assert door.enter({"id": "mine", "secretKey": "s3"}).status == 200


def test_a_token_is_valid_until_its_life_ends(signer: Signer) -> None:
    door = Door(signer, SimulatorOptions(token_life=60))
    token = door.token()
    assert door.tokens.recognise(token, NOW)
    assert door.tokens.recognise(token, NOW + 59.9)
    assert not door.tokens.recognise(token, NOW + 60)


def test_uses_are_counted_by_token_and_the_text_never_shown(door: Door) -> None:
    first, second = door.token(), door.token()
    for token in (first, first, second):
        assert door.tokens.recognise(token, NOW)
    shown = door.tokens.shown()
    assert [entry["uses"] for entry in shown] == [2, 1]
    assert first.split(" ")[1] not in json.dumps(shown)


def test_revoked_tokens_are_no_longer_valid_and_later_ones_are(door: Door) -> None:
    token = door.token()
    assert door.tokens.revoke_all() == 1
    assert door.tokens.revoke_all() == 0
    assert not door.tokens.recognise(token, NOW)
    assert door.tokens.recognise(door.token(), NOW)


def test_tokens_of_another_key_or_another_form_are_not_valid(door: Door, signer: Signer) -> None:
    foreign = Door(Signer()).token()
    good = door.token()
    forged = "Bearer " + signer.sign({"jti": "never-issued", "exp": int(NOW + 60)})
    for authorization in (
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer a.b.c",
        foreign,
        forged,
        good[:-4],
        good.replace("Bearer", "Basic"),
    ):
        assert not door.tokens.recognise(authorization, NOW), authorization


def test_the_scheme_is_read_in_any_case(door: Door) -> None:
    assert door.tokens.recognise(door.token().replace("Bearer", "bearer"), NOW)


def test_a_token_without_signature_is_not_valid(door: Door) -> None:
    claims = jwt.decode(door.token().split(" ")[1], options={"verify_signature": False})
    unsigned = jwt.encode(claims, "", algorithm="none")
    assert not door.tokens.recognise(f"Bearer {unsigned}", NOW)


def test_interceptors_get_a_token_of_the_platform_that_is_no_login(door: Door, signer: Signer) -> None:
    token = door.tokens.platform_token(NOW, "PLUGIN_INTERCEPTOR")
    claims = signer.claims(token)
    assert claims is not None
    assert claims["scopes"] == ["PLUGIN_INTERCEPTOR"]
    assert not door.tokens.recognise(f"Bearer {token}", NOW)
