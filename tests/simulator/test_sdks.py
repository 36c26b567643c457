"""The official Python SDKs, unchanged, on real sockets: straight to the simulator, and through the real sidecar.

Their typed models are the judges.
"""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import biotmed_file_sdk as file_sdk
import biotmed_measurement_sdk as measurement_sdk
import biotmed_organization_sdk as organization_sdk
import biotmed_ums_sdk as ums_sdk
import pytest
from biot_sidecar.simulator import seed
from biot_sidecar.simulator.options import DEFAULT_SECRET, DEFAULT_SERVICE_USER_ID, ORGANIZATION_ID
from biotmed_organization_sdk import exceptions as organization_errors
from biotmed_ums_sdk import exceptions as ums_errors

from tests.support.sidecar import start_sidecar

Sdk = Callable[..., Any]
Run = Callable[[Callable[[Sdk], None]], Awaitable[None]]


# A plugin's own login is passed on, so that the stories hear of a wrong secret either way.
THROUGH = {"BIOT_SERVICE_USER_ID": DEFAULT_SERVICE_USER_ID, "BIOT_SERVICE_USER_SECRET_KEY": DEFAULT_SECRET}
THROUGH |= {"SIDECAR_PLUGIN_LOGIN": "forward"}
ROUTES = "{version: 1, defaults: {interception: client}}"


@pytest.fixture(params=["straight to BioT, with a token", "through the sidecar, without one"])
async def place(request: pytest.FixtureRequest, base_url: str, tmp_path: Path) -> AsyncIterator[tuple[str, str | None]]:
    """Where the SDKs call, and the token they have."""
    if request.param.startswith("straight"):
        yield base_url, await asyncio.to_thread(logged_in, base_url)
        return
    sidecar = await start_sidecar(tmp_path, base_url, routes=ROUTES, **THROUGH)
    yield f"http://127.0.0.1:{sidecar.port}", None
    await sidecar.stop()


def logged_in(base_url: str) -> str:
    """A token by the UMS SDK."""
    configuration = ums_sdk.Configuration(host=f"{base_url}/ums")
    with ums_sdk.ApiClient(configuration) as client:
        credentials = ums_sdk.ServiceUserAccessTokenRequest(id=UUID(DEFAULT_SERVICE_USER_ID), secretKey=DEFAULT_SECRET)
        answer = ums_sdk.ServiceUserAPIApi(client).service_user_login(credentials)
    assert answer.access_token_expiration > datetime.now(UTC) + timedelta(minutes=29)
    return str(answer.access_token)


@pytest.fixture
def run(place: tuple[str, str | None]) -> Run:
    """Runs a story of blocking SDK calls in a thread; it gets `api(sdk, "ClassName")`."""
    base_url, token = place

    async def run(story: Callable[[Sdk], None]) -> None:
        def api(sdk: Any, name: str, **headers: str) -> Any:
            # The organization SDK's paths begin with the service already.
            prefix = "" if sdk is organization_sdk else "/" + sdk.__name__.removeprefix("biotmed_").removesuffix("_sdk")
            client = sdk.ApiClient(sdk.Configuration(host=base_url + prefix, access_token=token))
            for field, value in headers.items():
                client.set_default_header(field.replace("_", "-"), value)
            return getattr(sdk, name)(client)

        await asyncio.to_thread(story, api)

    return run


def patient_named(first: str) -> Any:
    return organization_sdk.CreatePatientRequest(
        _name=organization_sdk.Name(firstName=first, lastName="Invented"),
        _email=f"{first.lower()}@example.org",
        _templateId=uuid4(),
        _ownerOrganization=organization_sdk.ReferenceAttributeUUIDIdRequest(id=UUID(ORGANIZATION_ID)),
    )


async def test_the_organization_sdk_creates_reads_updates_finds_and_deletes_a_patient(run: Run) -> None:
    def story(api: Sdk) -> None:
        patients = api(organization_sdk, "PatientAPIApi")
        created = patients.create_patient_with_http_info(patient_named("Nora"))
        assert created.status_code == 201
        identity = created.data.id
        assert patients.get_patient(identity).name.first_name == "Nora"

        change = organization_sdk.UpdatePatientRequest(_phone="+15550100", additional_properties={"age": 44})
        updated = patients.update_patient(change, identity)
        assert (updated.phone, updated["age"], updated.name.first_name) == ("+15550100", 44, "Nora")
        assert updated.last_modified_time >= updated.creation_time

        wanted = {"_name.firstName": organization_sdk.FilterV2(like="nor")}
        request = organization_sdk.SearchRequestV2(filter=wanted, limit=1, page=0)
        found = patients.search_patients(search_request=request)
        assert [entry.id for entry in found.data] == [identity]
        assert found.metadata.page.total_results == 1

        assert patients.change_patient_enabled_state(identity, "DISABLED").enabled == "DISABLED"
        assert patients.delete_patient_with_http_info(identity).status_code == 204
        with pytest.raises(organization_errors.NotFoundException) as missing:
            patients.get_patient(identity)
        assert missing.value.data.code == "USER_NOT_FOUND"
        assert missing.value.data.service_name == "Organization Service"

    await run(story)


# v1 of the generic entities is deprecated in the SDK, and still what plugins call.
@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
async def test_the_seeded_entities_satisfy_every_typed_model(run: Run) -> None:
    def story(api: Sdk) -> None:
        patient = api(organization_sdk, "PatientAPIApi").get_patient(UUID(seed.PATIENT_ID))
        assert patient.caregiver.name == "Carer Casey"
        caregiver = api(organization_sdk, "CaregiverAPIApi").get_caregiver(UUID(seed.CAREGIVER_ID))
        assert caregiver.name.last_name == "Carer"
        organization = api(organization_sdk, "OrganizationAPIApi").get_organization(UUID(ORGANIZATION_ID))
        assert organization.name == "Example Clinic"
        device = api(organization_sdk, "DeviceAPIApi").get_device(seed.DEVICE_ID)
        assert (device.patient.name, device.status.certificate_status) == ("Patient Demo (123456789)", "NOT_INSTALLED")
        generic = api(organization_sdk, "GenericEntityAPIApi").get_generic_entity(UUID(seed.GENERIC_ID))
        assert generic.caption == "Demo note"

    await run(story)


@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
async def test_every_search_and_every_create_of_the_organization_sdk_fits_its_models(run: Run) -> None:
    def story(api: Sdk) -> None:
        organizations = api(organization_sdk, "OrganizationAPIApi")
        person = organization_sdk.Name(firstName="Ada", lastName="Admin")
        admin = organization_sdk.OrganizationAdminUserRequest(_name=person)
        clinic = organization_sdk.CreateOrganizationRequest(
            _name="Clinic", _primaryAdministrator=admin, _templateId=uuid4()
        )
        created = organizations.create_organization(clinic)
        assert created.primary_administrator.name == "Admin Ada"
        renamed = organizations.update_organization(
            organization_sdk.UpdateOrganizationRequest(_name="Renamed"), created.id
        )
        assert renamed.name == "Renamed"
        assert organizations.search_organizations().metadata.page.total_results == 3
        organizations.delete_organization(created.id)

        devices = api(organization_sdk, "DeviceAPIApi")
        device = devices.register_device(organization_sdk.RegisterDeviceRequest(_id="dev-1_x", _templateId=uuid4()))
        assert devices.get_device(device.id).caption == "dev-1_x"
        assert devices.update_device(organization_sdk.UpdateDeviceRequest(_timezone="UTC"), device.id).timezone == "UTC"
        assert {entry.id for entry in devices.search_devices().data} == {"dev-1_x", seed.DEVICE_ID, seed.FREE_DEVICE_ID}
        devices.delete_device(device.id)

        generics = api(organization_sdk, "GenericEntityAPIApi")
        note = generics.create_generic_entity(
            organization_sdk.CreateGenericEntityRequest(_name="Note", _templateId=uuid4())
        )
        change = organization_sdk.UpdateGenericEntityRequest(_name="Changed")
        assert generics.update_generic_entity(change, note.id).name == "Changed"
        assert len(generics.search_generic_entities().data) == 2
        generics.delete_generic_entity(note.id)

        by_template = api(organization_sdk, "GenericEntityAPIV3Api")
        named = organization_sdk.CreateGenericEntityByTemplateNameRequest(_name="Third")
        third = by_template.create_generic_entity_v3(named, "memo")
        assert third.template.name == "memo"
        assert by_template.get_generic_entity_v3("memo", third.id).name == "Third"
        assert [entry.id for entry in by_template.search_generic_entities_v3("memo").data] == [third.id]
        with pytest.raises(organization_errors.NotFoundException):
            by_template.get_generic_entity_v3("other", third.id)
        by_template.delete_generic_entity_v3("memo", third.id)

        assert api(organization_sdk, "CaregiverAPIApi").search_caregivers().data[0].invitation_accepted is False
        assert api(organization_sdk, "HealthCheckAPIApi").health_check().version

    await run(story)


async def test_the_interception_header_set_through_the_sdk_runs_the_interceptors(run: Run) -> None:
    def story(api: Sdk) -> None:
        plain = api(organization_sdk, "PatientAPIApi").get_patient(UUID(seed.PATIENT_ID))
        assert plain.get("sampleInterceptor") is None
        asking = api(organization_sdk, "PatientAPIApi", allow_interception="1")
        assert asking.get_patient(UUID(seed.PATIENT_ID))["sampleInterceptor"] == "was here"

    await run(story)


async def test_the_file_sdk_uploads_and_downloads_through_signed_urls(run: Run) -> None:
    def story(api: Sdk) -> None:
        files = api(file_sdk, "FileAPIApi")
        request = file_sdk.UploadFileUrlRequest(name="note.txt", mimeType="text/plain")
        created = files.create_upload_file_url_with_http_info(request)
        assert created.status_code == 200
        put = urllib.request.Request(created.data.signed_url, data=b"invented", method="PUT")
        assert urllib.request.urlopen(put).headers["ETag"]
        download = files.get_download_file_url(created.data.id)
        assert urllib.request.urlopen(download.signed_url).read() == b"invented"

    await run(story)


async def test_the_file_sdk_uploads_in_parts(run: Run) -> None:
    def story(api: Sdk) -> None:
        parts = api(file_sdk, "MultiplePartFileAPIApi")
        request = file_sdk.MultiplePartUploadFileUrlRequest(
            name="big.bin", mimeType="application/octet-stream", parts=2
        )
        created = parts.create_multiple_part_upload_file_url(request)
        etags = []
        for signed, content in zip(created.signed_urls, (b"first ", b"second"), strict=True):
            put = urllib.request.Request(signed.signed_url, data=content, method="PUT")
            etag = urllib.request.urlopen(put).headers["ETag"]
            etags.append(file_sdk.MultiplePartFileUploadPart(partNumber=signed.part_number, etag=etag))
        again = file_sdk.MultiplePartUploadFileGenerateSignedUrlsRequest(fromPart=2, toPart=2)
        renewed = parts.generate_signed_urls_for_multiple_part_file_upload(again, created.id)
        assert [entry.part_number for entry in renewed.signed_urls] == [2]
        saved = file_sdk.MultiplePartUploadFileSaveETagRequest(parts=etags)
        assert parts.save_e_tags_for_multiple_part_file_upload_with_http_info(saved, created.id).status_code == 200
        complete = parts.complete_multiple_part_upload_file(created.id)
        assert urllib.request.urlopen(complete.signed_url).read() == b"first second"

        given_up = parts.create_multiple_part_upload_file_url(request)
        assert parts.cancel_multiple_part_upload_file_with_http_info(given_up.id).status_code == 204

    await run(story)


def measured(minute: int, value: float) -> Any:
    metadata = measurement_sdk.MeasurementFromDeviceMetadata(
        timestamp=datetime(2026, 1, 1, 12, minute, tzinfo=UTC), deviceId=seed.DEVICE_ID, patientId=UUID(seed.PATIENT_ID)
    )
    data = measurement_sdk.MeasurementDataSchemaExample(additional_properties={"pulse": value})
    return measurement_sdk.MeasurementMessageFromDevice(metadata=metadata, data=data)


async def test_the_measurement_sdk_saves_one_or_many_and_reads_them_raw(run: Run) -> None:
    def story(api: Sdk) -> None:
        measurements = api(measurement_sdk, "MeasurementsAPIApi")
        assert measurements.save_measurement_with_http_info(measured(0, 60)).status_code == 200
        bulk = measurement_sdk.MeasurementBulkRequest(measures=[measured(1, 61), measured(2, 62)])
        saved = measurements.save_measurements_bulk_with_http_info(bulk)
        assert (saved.status_code, saved.data.metadata.number_of_measures_saved) == (200, 2)

        raw = measurements.get_raw_measurements(
            patient_id=UUID(seed.PATIENT_ID),
            start_time=datetime(2026, 1, 1, 12, 1, tzinfo=UTC),
            end_time=datetime(2026, 1, 2, tzinfo=UTC),
            attributes=["pulse"],
        )
        session = raw.attributes[0].sources[0].measurement_sessions[0]
        assert [entry.data for entry in session.measurements] == [[61], [62]]

        second = api(measurement_sdk, "MeasurementsV2APIApi")
        day = measurement_sdk.FilterV2(
            **{"from": datetime(2026, 1, 1, tzinfo=UTC), "to": datetime(2026, 1, 2, tzinfo=UTC)}
        )
        request = measurement_sdk.SearchRequestTokenBased(limitPerPage=2, filter={"timestamp": day})
        page = second.get_raw_measurements2(search_request=request)
        assert [entry.data["pulse"] for entry in page.data] == [60, 61]
        request.next_token = page.metadata.next_token
        last = second.get_raw_measurements2(search_request=request)
        assert [entry.data["pulse"] for entry in last.data] == [62]
        assert last.metadata.next_token is None

    await run(story)


async def test_the_ums_sdk_reads_the_public_key_and_is_told_of_a_wrong_secret(run: Run) -> None:
    def story(api: Sdk) -> None:
        assert api(ums_sdk, "SecurityAPIApi").get_public_key().public_key.startswith("MII")
        wrong = ums_sdk.ServiceUserAccessTokenRequest(id=UUID(DEFAULT_SERVICE_USER_ID), secretKey="wrong")
        with pytest.raises(ums_errors.ForbiddenException) as refused:
            api(ums_sdk, "ServiceUserAPIApi").service_user_login(wrong)
        assert refused.value.data.code == "LOGIN_FAILED"

    await run(story)


async def test_a_broken_token_reaches_the_sdk_as_a_typed_error(base_url: str) -> None:
    configuration = organization_sdk.Configuration(host=base_url, access_token="not.a.token")
    patients = organization_sdk.PatientAPIApi(organization_sdk.ApiClient(configuration))
    with pytest.raises(organization_errors.UnauthorizedException) as refused:
        await asyncio.to_thread(patients.search_patients)
    assert refused.value.data.code == "TOKEN_NOT_VALID"
