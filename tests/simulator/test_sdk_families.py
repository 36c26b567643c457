"""The official SDKs' typed models judge the families that are not in test_sdks: alerts, sessions, users, and more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import biotmed_measurement_sdk as measurement_sdk
import biotmed_organization_sdk as organization_sdk
import biotmed_ums_sdk as ums_sdk
import pytest
from biot_sidecar.simulator import seed
from biot_sidecar.simulator.options import DEFAULT_SERVICE_USER_ID, ORGANIZATION_ID, USER_PASSWORD
from biotmed_organization_sdk import exceptions as organization_errors
from biotmed_ums_sdk import exceptions as ums_errors

from tests.simulator.test_sdks import logged_in

Api = Callable[..., Any]
OWNER = organization_sdk.ReferenceAttributeUUIDIdRequest(id=UUID(ORGANIZATION_ID))
NAME = organization_sdk.Name(firstName="Nora", lastName="New")
PATIENT, ALERT = UUID(seed.PATIENT_ID), UUID(seed.PATIENT_ALERT_ID)


async def told(base_url: str, story: Callable[[Api], None]) -> None:
    """Run a story of blocking SDK calls in a thread, with the service user's token or another one."""
    service_token = await asyncio.to_thread(logged_in, base_url)

    def api(sdk: Any, name: str, token: str = service_token) -> Any:
        prefix = "" if sdk is organization_sdk else "/" + sdk.__name__.removeprefix("biotmed_").removesuffix("_sdk")
        return getattr(sdk, name)(sdk.ApiClient(sdk.Configuration(host=base_url + prefix, access_token=token)))

    await asyncio.to_thread(story, api)


async def test_alerts_of_patients_and_devices_fit_the_models(base_url: str) -> None:
    def story(api: Api) -> None:
        alerts = api(organization_sdk, "PatientAlertAPIApi")
        made = alerts.create_alert(
            organization_sdk.CreateAlertRequest(_templateId=uuid4(), _severity="MAJOR"), seed.PATIENT_ID
        )
        assert (made.state, made.patient.id) == ("ACTIVE", PATIENT)
        named = alerts.create_alert_by_template_name(
            organization_sdk.CreateAlertByTemplateNameRequest(), seed.PATIENT_ID, "LowBattery"
        )
        assert named.template.name == "LowBattery"
        cleared = alerts.update_alert(organization_sdk.UpdateAlertRequest(_state="CLEARED"), seed.PATIENT_ID, made.id)
        assert (cleared.state, cleared.clear_trigger) == ("CLEARED", "MANUAL")
        assert {one.id for one in alerts.search_current_alerts().data[0].alerts} == {named.id, ALERT}
        assert alerts.search_alerts().metadata.page.total_results == 3
        alerts.delete_alert(seed.PATIENT_ID, made.id)
        with pytest.raises(organization_errors.NotFoundException) as missing:
            alerts.get_alert(seed.PATIENT_ID, made.id)
        assert missing.value.data.code == "ALERT_NOT_FOUND"
        devices = api(organization_sdk, "DeviceAlertAPIApi")
        assert devices.search_current_alerts1().data[0].device.id == seed.DEVICE_ID
        assert devices.get_alert1(seed.DEVICE_ID, UUID(seed.DEVICE_ALERT_ID)).device.id == seed.DEVICE_ID

    await told(base_url, story)


async def test_sessions_and_commands_fit_the_models(base_url: str) -> None:
    def story(api: Api) -> None:
        control = api(organization_sdk, "UsageSessionRemoteControlAPIApi")
        start = organization_sdk.StartSessionRequestV2(_templateId=uuid4())
        started = control.start_session(start, seed.DEVICE_ID)
        assert (started.initiator, started.patient.id) == ("REMOTE_CONTROL", PATIENT)
        assert control.pause_session(seed.DEVICE_ID, started.id).state == "PAUSED"
        assert control.stop_session(seed.DEVICE_ID, started.id).state == "DONE"
        sessions = api(organization_sdk, "UsageSessionAPIApi")
        assert {one.id for one in sessions.search_sessions().data} == {started.id, UUID(seed.SESSION_ID)}
        assert sessions.search_device_sessions().data == []
        commands = api(organization_sdk, "CommandAPIApi")
        command = commands.start_command(organization_sdk.StartCommandRequest(_templateId=uuid4()), seed.DEVICE_ID)
        assert commands.stop_command(seed.DEVICE_ID, command.id).state == "ABORTED"
        assert commands.search_commands().metadata.page.total_results == 2

    await told(base_url, story)


async def test_organization_users_and_registration_codes_fit_the_models(base_url: str) -> None:
    def story(api: Api) -> None:
        users = api(organization_sdk, "OrganizationUserAPIApi")
        request = {"_name": NAME, "_templateId": uuid4(), "_ownerOrganization": OWNER, "_employeeId": "E7"}
        made = users.create_organization_user(organization_sdk.CreateOrganizationUserRequest(**request))
        assert (made.caption, made.owner_organization.name) == ("New Nora (E7)", "Example Clinic")
        assert made.id in {one.id for one in users.search_organization_users().data}
        codes = api(organization_sdk, "RegistrationCodeAPIApi")
        asked = {"_code": "demo-code-1", "_templateId": uuid4(), "_ownerOrganization": OWNER}
        with pytest.raises(organization_errors.ConflictException) as taken:
            codes.create_registration_code(organization_sdk.CreateRegistrationCodeRequest(**asked))
        assert taken.value.data.code == "REGISTRATION_CODE_ALREADY_EXISTS"
        assert codes.get_registration_code(UUID(seed.FREE_CODE_ID)).code == "demo-code-2"
        credentials = api(organization_sdk, "TemporaryCredentialsAPIApi")
        assert credentials.get_temp_credentials_for_device(seed.DEVICE_ID).connection_client_id == seed.DEVICE_ID

    await told(base_url, story)


async def test_a_person_logs_in_by_the_ums_sdk_and_finds_himself(base_url: str) -> None:
    def story(api: Api) -> None:
        login = api(ums_sdk, "LoginAPIApi")
        request = ums_sdk.LoginRequestV2(username="demo.patient@example.org", password=USER_PASSWORD)
        answer = login.login(request)
        renewed = login.refresh_token(ums_sdk.RefreshTokenRequest(refreshToken=answer.refresh_jwt.token))
        token = renewed.access_jwt.token
        assert api(organization_sdk, "PatientAPIApi", token).get_patient_self().id == answer.user_id
        assert api(organization_sdk, "UserAPIApi", token).get_self().user_type == "patient"
        assert api(ums_sdk, "SelfUserAPIApi", token).self_get_user().username == "demo.patient@example.org"
        assert api(ums_sdk, "UserAPIApi").search().metadata.page.total_results == 4
        with pytest.raises(ums_errors.ForbiddenException) as refused:
            login.login(ums_sdk.LoginRequestV2(username="demo.patient@example.org", password="wrong"))
        assert refused.value.data.code == "LOGIN_FAILED"

    await told(base_url, story)


async def test_service_users_fit_the_models_of_the_ums_sdk(base_url: str) -> None:
    def story(api: Api) -> None:
        services = api(ums_sdk, "ServiceUserAPIApi")
        request = ums_sdk.CreateServiceUserRequest(roleId=uuid4(), type="INTERNAL_SERVICE", name="mine")
        made = services.create_service_user(request)
        secret = ums_sdk.ServiceUserAccessTokenRequest(id=made.id, secretKey=made.secret_key_data.secret_key)
        token = services.service_user_login(secret).access_token
        assert api(ums_sdk, "SelfServiceUserAPIApi", token).get_self_service_user().id == made.id
        assert {one.name for one in services.search_service_users().data} == {"mine", "simulated service user"}
        assert services.create_secret_key(UUID(DEFAULT_SERVICE_USER_ID)).secret_key

    await told(base_url, story)


async def test_aggregated_measurements_fit_the_models(base_url: str) -> None:
    def story(api: Api) -> None:
        first = api(measurement_sdk, "MeasurementsAPIApi")
        for minute, pulse in ((0, 60), (1, 64)):
            metadata = measurement_sdk.MeasurementFromDeviceMetadata(
                timestamp=datetime(2026, 1, 1, 12, minute, tzinfo=UTC), deviceId=seed.DEVICE_ID
            )
            data = measurement_sdk.MeasurementDataSchemaExample(additional_properties={"pulse": pulse})
            first.save_measurement(measurement_sdk.MeasurementMessageFromDevice(metadata=metadata, data=data))
        day = {"from": datetime(2026, 1, 1, tzinfo=UTC), "to": datetime(2026, 1, 2, tzinfo=UTC)}
        found = first.get_measurements("3600", PATIENT, day["from"], day["to"], attributes=["pulse"])
        (entry,) = found.attributes[0].sources[0].measurement_sessions[0].measurements
        assert (entry.average, entry.standard_deviation) == (62, 2)
        filters = {
            "_patient.id": measurement_sdk.FilterV2(eq=seed.PATIENT_ID),
            "timestamp": measurement_sdk.FilterV2(**day),
            "binIntervalSeconds": measurement_sdk.FilterV2(eq=3600),
        }
        second = api(measurement_sdk, "MeasurementsV2APIApi")
        request = measurement_sdk.SearchRequestTokenBased(filter=filters)
        (aggregated,) = second.get_aggregated_measurements(search_request=request).data
        assert aggregated.data["pulse"].average == 62

    await told(base_url, story)
