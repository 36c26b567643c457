"""Seed plugins as BioT gives them out, unchanged, against the real sidecar: what works, and what BioT gets to see."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from biot_sidecar.simulator import seed

from tests.deploy.programs import call, seen, sidecar
from tests.e2e.seeds.plugins import DUMMY, LOGIN, REAL, TRACE, event, plugin, signed_event
from tests.support.simulated_biot import simulated_biot

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180), pytest.mark.parametrize("language", ["python", "javascript"])]

PATIENTS = "/organization/v1/users/patients"
PATIENT = f"{PATIENTS}/{seed.PATIENT_ID}"
KEEP = "{version: 1, defaults: {authorization: keep}}"


@contextmanager
def both(folder: Path, token_life: float = 1800.0, routes: str = "", **settings: str) -> Iterator[tuple[str, str]]:
    """The simulator's and the sidecar's URL; the sidecar must not have written what is nobody's business."""
    if routes:
        (folder / "routes.yaml").write_text(routes)
        settings["SIDECAR_ROUTES"] = str(folder / "routes.yaml")
    with simulated_biot(token_life=token_life) as biot:
        with sidecar(folder, biot, **settings) as url:
            yield biot, url
        log = (folder / "sidecar.log").read_text()
        assert not [text for text in (*DUMMY.values(), *REAL.values(), "eyJ", "Traceback") if text in log]


def stats(biot: str) -> dict[str, Any]:
    return dict(call("GET", f"{biot}/_simulator/stats"))


def of_plugin(biot: str) -> list[tuple[str, str, str]]:
    """Method, path and token of what the plugin's handling of events brought BioT."""
    return [(one["method"], one["path"], one["token"]) for one in seen(biot) if one["traceId"] == TRACE]


def test_a_seed_with_made_up_credentials_works_as_it_is(language: str, tmp_path: Path) -> None:
    with both(tmp_path) as (biot, url), plugin(language, url, **DUMMY) as running:
        answers = [running.handle(signed_event(biot)) for _ in range(2)]
        assert [one["statusCode"] for one in answers] == [200, 200]
        assert answers[0]["body"]["after"] == answers[1]["body"]["before"] == answers[0]["body"]["before"] + 1
        once = [("GET", PATIENT, "valid"), ("GET", PATIENTS, "valid"), ("PATCH", PATIENT, "valid")]
        assert of_plugin(biot) == once * 2  # and no login
        # Two tokens for this test's events, one for the sidecar.
        assert (stats(biot)["logins"], stats(biot)["failedLogins"]) == (3, 0)


def test_a_seed_that_works_without_the_sidecar_works_with_it_alike(language: str, tmp_path: Path) -> None:
    with both(tmp_path) as (biot, url):
        with plugin(language, biot, **REAL) as alone:
            first = alone.handle(signed_event(biot))
        with plugin(language, url, **DUMMY) as beside:
            second = beside.handle(signed_event(biot))
        assert first["statusCode"] == second["statusCode"] == 200
        assert second["body"]["before"] == first["body"]["after"]
        assert [one for one in of_plugin(biot) if one[1] != LOGIN] == of_plugin(biot)[-3:] * 2


def test_a_forged_event_is_still_found_out_with_biots_own_public_key(language: str, tmp_path: Path) -> None:
    with both(tmp_path) as (biot, url), plugin(language, url, **DUMMY) as running:
        forged = signed_event(biot)
        forged["body"] = forged["body"].replace('"jwt": "ey', '"jwt": "eY')
        assert running.handle(forged)["statusCode"] == 500
        assert of_plugin(biot) == []
        assert running.handle(signed_event(biot))["statusCode"] == 200


def test_biots_error_reaches_a_seed_as_it_is(language: str, tmp_path: Path) -> None:
    with both(tmp_path) as (_, url), plugin(language, url, BIOT_SHOULD_VALIDATE_JWT="false", **DUMMY) as running:
        answer = running.handle(event(patient="00000000-0000-0000-0000-000000000000"))
        assert "USER_NOT_FOUND" in str(answer["body"])


def test_a_token_that_biot_revokes_is_none_of_a_seeds_business(language: str, tmp_path: Path) -> None:
    with both(tmp_path) as (biot, url), plugin(language, url, BIOT_SHOULD_VALIDATE_JWT="false", **DUMMY) as running:
        assert running.handle(event())["statusCode"] == 200
        call("DELETE", f"{biot}/_simulator/tokens")
        assert running.handle(event())["statusCode"] == 200
        assert stats(biot)["logins"] == 2


def test_forward_asks_biot_about_the_seeds_own_credentials(language: str, tmp_path: Path) -> None:
    with (
        both(tmp_path, SIDECAR_PLUGIN_LOGIN="forward") as (biot, url),
        plugin(language, url, BIOT_SHOULD_VALIDATE_JWT="false", **REAL) as running,
    ):
        assert running.handle(event())["statusCode"] == 200
        assert running.handle(event())["statusCode"] == 200
        assert of_plugin(biot)[0] == ("POST", LOGIN, "none")  # our token does not go with it
        assert [path for _, path, _ in of_plugin(biot)].count(LOGIN) == 1  # the seed keeps its token
        assert stats(biot)["logins"] == 2


def test_a_token_of_less_than_a_minute_makes_a_seed_log_in_for_every_event(language: str, tmp_path: Path) -> None:
    with (
        both(tmp_path, token_life=50.0, SIDECAR_PLUGIN_LOGIN="forward") as (biot, url),
        plugin(language, url, BIOT_SHOULD_VALIDATE_JWT="false", **REAL) as running,
    ):
        assert [running.handle(event())["statusCode"] for _ in range(3)] == [200] * 3
        assert [path for _, path, _ in of_plugin(biot)].count(LOGIN) == 3


def test_forward_lets_biot_refuse_made_up_credentials(language: str, tmp_path: Path) -> None:
    with (
        both(tmp_path, SIDECAR_PLUGIN_LOGIN="forward") as (biot, url),
        plugin(language, url, BIOT_SHOULD_VALIDATE_JWT="false", **DUMMY) as running,
    ):
        answer = running.handle(event())
        assert answer["statusCode"] != 200
        # The Python seed does not look at the status and misses the token.
        assert answer["body"]["code"] == {"python": "KeyError", "javascript": "LOGIN_FAILED"}[language]
        assert of_plugin(biot) == [("POST", LOGIN, "none")]
        assert stats(biot)["failedLogins"] == 1
        # The sidecar's own login is none of the plugin's business.
        assert call("GET", url + PATIENT)["_id"] == seed.PATIENT_ID


def test_deny_refuses_a_seeds_login_before_biot_hears_of_it(language: str, tmp_path: Path) -> None:
    with (
        both(tmp_path, SIDECAR_PLUGIN_LOGIN="deny") as (biot, url),
        plugin(language, url, BIOT_SHOULD_VALIDATE_JWT="false", **REAL) as running,
    ):
        answer = running.handle(event())
        assert answer["statusCode"] == {"python": 500, "javascript": 403}[language]
        assert answer["body"]["code"] == {"python": "KeyError", "javascript": "SIDECAR_ROUTE_DENIED"}[language]
        assert of_plugin(biot) == []
        assert stats(biot)["logins"] == 1


def test_with_keep_the_placeholder_counts_as_no_token(language: str, tmp_path: Path) -> None:
    with (
        both(tmp_path, routes=KEEP) as (biot, url),
        plugin(language, url, BIOT_SHOULD_VALIDATE_JWT="false", **DUMMY) as running,
    ):
        assert running.handle(event())["statusCode"] == 200
        assert {token for _, _, token in of_plugin(biot)} == {"valid"}
        assert stats(biot)["logins"] == 1


def test_with_keep_and_forward_a_seed_acts_with_its_own_token(language: str, tmp_path: Path) -> None:
    with (
        both(tmp_path, routes=KEEP, SIDECAR_PLUGIN_LOGIN="forward", SIDECAR_LOGIN_AT_START="0") as (biot, url),
        plugin(language, url, BIOT_SHOULD_VALIDATE_JWT="false", **REAL) as running,
    ):
        assert running.handle(event())["statusCode"] == 200
        assert {token for _, path, token in of_plugin(biot) if path != LOGIN} == {"valid"}
        assert stats(biot)["logins"] == 1  # the seed's; the sidecar had no need of one
