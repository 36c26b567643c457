"""The official SDKs, unchanged and without an access token, through the real sidecar with its shipped rules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import biotmed_file_sdk as file_sdk
import biotmed_measurement_sdk as measurement_sdk
import biotmed_organization_sdk as organization_sdk
import biotmed_ums_sdk as ums_sdk
import pytest
from biot_sidecar.simulator import seed
from biotmed_organization_sdk import exceptions as organization_errors
from biotmed_ums_sdk import exceptions as ums_errors

from tests.deploy.programs import call, logins, seen, sidecar
from tests.support.ports import free_port
from tests.support.simulated_biot import simulated_biot

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

PATIENT = f"/organization/v1/users/patients/{seed.PATIENT_ID}"


@contextmanager
def both(folder: Path, **settings: str) -> Iterator[tuple[str, str]]:
    """The simulator's and the sidecar's URL."""
    with simulated_biot() as biot, sidecar(folder, biot, **settings) as url:
        yield biot, url


@contextmanager
def api(sdk: Any, name: str, host: str) -> Iterator[Any]:
    with sdk.ApiClient(sdk.Configuration(host=host)) as client:
        yield getattr(sdk, name)(client)
        client.rest_client.pool_manager.clear()


def test_four_sdks_together_cost_biot_one_login(tmp_path: Path) -> None:
    with both(tmp_path) as (biot, url):
        with api(organization_sdk, "PatientAPIApi", url) as patients:
            assert patients.get_patient(UUID(seed.PATIENT_ID)).name.first_name == "Demo"
        with api(ums_sdk, "SecurityAPIApi", f"{url}/ums") as security:
            assert security.get_public_key().public_key
        with api(file_sdk, "FileAPIApi", f"{url}/file") as files:
            asked = file_sdk.UploadFileUrlRequest(name="note.txt", mimeType="text/plain")
            assert files.create_upload_file_url(asked).signed_url
        with api(measurement_sdk, "MeasurementsV2APIApi", f"{url}/measurement") as measurements:
            day = {"from": datetime(2026, 1, 1, tzinfo=UTC), "to": datetime(2026, 1, 2, tzinfo=UTC)}
            wanted = {"timestamp": measurement_sdk.FilterV2(**day)}
            request = measurement_sdk.SearchRequestTokenBased(limitPerPage=2, filter=wanted)
            assert measurements.get_raw_measurements2(search_request=request).data == []
        assert logins(biot) == 1
        assert {one["token"] for one in seen(biot) if "accessToken" not in one["path"]} == {"valid"}


def test_a_rule_decides_about_interception_and_no_header_of_the_sdk(tmp_path: Path) -> None:
    with both(tmp_path) as (biot, url), api(organization_sdk, "PatientAPIApi", url) as patients:
        patients.api_client.set_default_header("Allow-Interception", "1")
        patients.get_patient(UUID(seed.PATIENT_ID))
        patients.api_client.default_headers.pop("Allow-Interception")
        change = organization_sdk.UpdatePatientRequest(additional_properties={"age": 51})
        changed = patients.update_patient(change, UUID(seed.PATIENT_ID))
        assert (changed["age"], changed["sampleInterceptor"]) == (51, "was here")
        calls = [(one["method"], one["interception"]) for one in seen(biot) if one["path"] == PATIENT]
        assert calls == [("GET", False), ("PATCH", True)]


def test_an_error_of_the_sidecars_own_reaches_the_sdk_typed(tmp_path: Path) -> None:
    with both(tmp_path) as (_, url), api(ums_sdk, "ServiceUserAPIApi", f"{url}/ums") as services:
        with pytest.raises(ums_errors.ForbiddenException) as denied:
            services.create_secret_key(UUID(int=1))
        assert denied.value.data.code == "SIDECAR_ROUTE_DENIED"
        assert denied.value.data.service_name == "biot-sidecar"
        assert denied.value.data.trace_id


@pytest.mark.slow
def test_a_login_by_the_ums_sdk_gets_a_placeholder_that_its_models_accept(tmp_path: Path) -> None:
    with both(tmp_path) as (biot, url):
        with api(ums_sdk, "ServiceUserAPIApi", f"{url}/ums") as services:
            made_up = ums_sdk.ServiceUserAccessTokenRequest(id=UUID(int=7), secretKey="made up")
            answer = services.service_user_login(made_up)
        configuration = organization_sdk.Configuration(host=url, access_token=answer.access_token)
        with organization_sdk.ApiClient(configuration) as client:
            assert organization_sdk.PatientAPIApi(client).get_patient(UUID(seed.PATIENT_ID)).id
            client.rest_client.pool_manager.clear()
        assert logins(biot) == 1


def test_a_token_that_biot_revokes_is_replaced_without_a_word_to_the_sdk(tmp_path: Path) -> None:
    with both(tmp_path) as (biot, url), api(organization_sdk, "PatientAPIApi", url) as patients:
        patients.get_patient(UUID(seed.PATIENT_ID))
        call("DELETE", f"{biot}/_simulator/tokens")
        change = organization_sdk.UpdatePatientRequest(additional_properties={"age": 52})
        assert patients.update_patient(change, UUID(seed.PATIENT_ID))["age"] == 52
        assert logins(biot) == 2


def test_biot_out_of_reach_is_told_in_words_that_the_sdk_shows(tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    with sidecar(tmp_path, nobody) as url, api(organization_sdk, "PatientAPIApi", url) as patients:
        with pytest.raises(organization_errors.ServiceException) as failed:
            patients.get_patient(UUID(seed.PATIENT_ID))
        assert "SIDECAR_LOGIN_UNAVAILABLE" in failed.value.body
        assert failed.value.status == 503
