"""The rest of the platform: service users, plugins, reports, locales, snippets, messages, devices' connections."""

from __future__ import annotations

import csv
import io
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from biot_sidecar.simulator import seed
from biot_sidecar.simulator.options import DEFAULT_SERVICE_USER_ID, MANUFACTURER_ID, ORGANIZATION_ID

from tests.simulator import judging
from tests.simulator.helpers import Desk
from tests.simulator.judging import UNKNOWN_ID, Form

SERVICES = "/ums/v2/services"
PLUGINS = "/settings/v2/plugins"
REPORTS = "/dms/v1/data/reports"


async def test_a_service_user_that_was_made_logs_in_until_it_is_deleted(desk: Desk) -> None:
    body = {"type": "INTERNAL_SERVICE", "roleId": ORGANIZATION_ID, "name": "mine"}
    made = (await desk.ask("POST", SERVICES, body)).body
    assert (made["ownerOrganizationId"], made["active"]) == (MANUFACTURER_ID, True)
    login = {"id": made["id"], "secretKey": made["secretKeyData"]["secretKey"]}
    token = (await desk.ask("POST", f"{SERVICES}/accessToken", login, token=None)).body["accessToken"]
    own = (await desk.ask("GET", f"{SERVICES}/self", token=token)).body
    assert (own["id"], own["name"], [key["id"] for key in own["secretKeys"]]) == (
        made["id"],
        "mine",
        [made["secretKeyData"]["id"]],
    )
    assert login["secretKey"] not in str(own)
    second = await desk.ask("POST", f"{SERVICES}/self/secret-keys", token=token)
    assert second.status == 201
    assert len((await desk.ask("GET", f"{SERVICES}/{made['id']}")).body["secretKeys"]) == 2
    assert len((await desk.ask("GET", f"{SERVICES}/{DEFAULT_SERVICE_USER_ID}")).body["secretKeys"]) == 1
    assert (await desk.ask("PATCH", f"{SERVICES}/{made['id']}", {"active": False})).body["active"] is False
    assert (await desk.ask("POST", f"{SERVICES}/accessToken", login, token=None)).status == 403
    assert (await desk.ask("DELETE", f"{SERVICES}/{made['id']}")).status == 204
    gone = await desk.ask("GET", f"{SERVICES}/{made['id']}")
    assert (gone.status, gone.body["code"]) == (404, "SERVICE_USER_NOT_FOUND")
    assert [one["name"] for one in (await desk.ask("GET", SERVICES)).body["data"]] == ["simulated service user"]


def plugin(**config: Any) -> Form:
    return Form({"config": {"name": "mine", "displayName": "Mine", "version": 1} | config}, {"code": b"zip"})


async def test_a_plugin_is_made_updated_and_deleted(desk: Desk) -> None:
    made = await judging.sent(desk, "POST", PLUGINS, plugin())
    assert (made.status, made.body["name"], made.body["timeout"]) == (201, "Plugin-mine", 60)
    again = await judging.sent(desk, "POST", PLUGINS, plugin())
    assert (again.status, again.body["code"]) == (409, "PLUGIN_EXISTS_BY_NAME")
    one = f"{PLUGINS}/Plugin-mine"
    config = {
        "config": {"timeout": 5, "subscriptions": {"interceptionOrder": 1, "interceptions": [], "notifications": []}}
    }
    updated = await judging.sent(desk, "PATCH", one, Form(config))
    assert (updated.status, updated.body["timeout"], updated.body["displayName"]) == (200, 5, "Mine")
    assert [entry["name"] for entry in (await desk.ask("GET", PLUGINS)).body["data"]] == ["Plugin-mine"]
    assert (await desk.ask("DELETE", one)).status == 204
    gone = await desk.ask("GET", one)
    assert (gone.status, gone.body["code"], gone.body["details"]) == (
        404,
        "PLUGIN_NOT_FOUND",
        {"pluginName": "Plugin-mine"},
    )


INTERCEPTION = {"type": "PRE_REQUEST", "apiId": "PATCH/organization/v1/users/patients/{id}"}


@pytest.mark.parametrize(
    ("config", "status", "code"),
    [
        ({"environmentVariables": {"BIOT_X": "1"}}, 400, "ENVIRONMENT_VARIABLES_CANNOT_START_WITH_RESERVED_PREFIX"),
        ({"version": 0}, 400, "BAD_REQUEST"),
        ({"cronSchedule": "often"}, 400, "BAD_REQUEST"),
        ({"subscriptions": {"interceptions": [INTERCEPTION]}}, 201, None),
        (
            {"subscriptions": {"interceptions": [INTERCEPTION | {"apiId": "GET/nowhere"}]}},
            404,
            "INTERCEPTION_CONFIGURATION_NOT_FOUND",
        ),
        (
            {"subscriptions": {"interceptions": [INTERCEPTION | {"type": "ADAPT_ENTITY"}]}},
            400,
            "INTERCEPTION_MUST_HAVE_CORRECT_API_ID_NULL_VALUE_FOR_TYPE",
        ),
    ],
)
async def test_a_plugin_that_cannot_be_is_refused(desk: Desk, config: Any, status: int, code: str | None) -> None:
    answer = await judging.sent(desk, "POST", PLUGINS, plugin(**config))
    assert (answer.status, answer.body.get("code")) == (status, code), answer.body


@pytest.mark.parametrize(
    ("form", "code"),
    [
        (Form({"config": {"version": 1}}, {"code": b"zip"}), "PLUGIN_VERSION_MUST_BE_LARGER_WHEN_UPDATING_CODE"),
        (Form({"config": {"version": 2}}), "PLUGIN_VERSION_MUST_NOT_BE_CHANGED_WHEN_NOT_UPDATING_CODE"),
        (Form({"config": {"version": 2}}, {"code": b"zip"}), None),
        (Form({"config": {}}), None),
        (Form({}), "BAD_REQUEST"),
    ],
)
async def test_the_version_of_a_plugin_grows_with_its_code(desk: Desk, form: Form, code: str | None) -> None:
    await judging.sent(desk, "POST", PLUGINS, plugin())
    answer = await judging.sent(desk, "PATCH", f"{PLUGINS}/Plugin-mine", form)
    assert answer.body.get("code") == code


HALF = b'--line\r\nContent-Disposition: form-data; name="config"\r\n\r\n{\r\n--line--'


@pytest.mark.parametrize("body", [b"", b"nonsense", HALF])
async def test_a_form_that_cannot_be_read_is_refused(desk: Desk, body: bytes) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=line"}
    assert (await desk.ask("POST", PLUGINS, body, headers=headers)).status == 400


def content(desk: Desk, url: str) -> bytes:
    parts = urlsplit(url)
    file = desk.simulator.files.stored(parts.path.rpartition("/")[2], parse_qs(parts.query)["X-Amz-Signature"][0])
    assert file is not None
    return file.content[0]


@pytest.mark.parametrize("kind", ["JSON", "CSV"])
async def test_a_report_is_complete_when_it_is_looked_at(desk: Desk, kind: str) -> None:
    queries = [{"dataType": "patient", "filter": {"age": {"gt": 40}}}, {"dataType": "device"}]
    body = {"queries": queries, "outputMetadata": {"exportFormat": kind}, "name": "all"}
    made = await desk.ask("POST", f"{REPORTS}/export", body)
    assert (made.status, made.body["status"], made.body["fileOutput"]) == (201, "IN_PROGRESS", None)
    done = (await desk.ask("GET", f"{REPORTS}/{made.body['id']}")).body
    assert (done["status"], set(done["fileOutput"]["filesLocation"])) == ("COMPLETED", {"patient", "device"})
    (url,) = done["fileOutput"]["filesLocation"]["patient"]["paths"]
    text = content(desk, url).decode()
    rows = json.loads(text) if kind == "JSON" else list(csv.DictReader(io.StringIO(text)))
    assert [row["_id"] for row in rows] == [seed.PATIENT_ID]
    late = await desk.ask("POST", f"{REPORTS}/{made.body['id']}/cancel")
    assert (late.status, late.body["code"]) == (400, "REPORT_CANT_BE_CANCELED")


async def test_a_report_is_canceled_while_it_is_in_progress(desk: Desk) -> None:
    body = {"queries": [{"dataType": "patient"}], "outputMetadata": {"exportFormat": "JSON"}}
    one = f"{REPORTS}/{(await desk.ask('POST', f'{REPORTS}/export', body)).body['id']}"
    assert (await desk.ask("POST", f"{one}/cancel")).body["status"] == "CANCELED"
    assert (await desk.ask("GET", one)).body["status"] == "CANCELED"
    assert (await desk.ask("DELETE", one)).status == 204
    assert (await desk.ask("GET", one)).body["code"] == "REPORT_NOT_FOUND"


async def test_a_report_of_measurements_has_those_of_its_range(desk: Desk) -> None:
    message = {"metadata": {"timestamp": "2025-11-24T15:00:00Z", "deviceId": seed.DEVICE_ID}, "data": {"pulse": 61}}
    await desk.ask("POST", "/measurement/v1/measurements", message)
    times = {"from": "2025-11-24T00:00:00Z", "to": "2025-11-25T00:00:00Z"}
    query = {"dataType": "measurements", "filter": {"timestamp": times}}
    body = {"queries": [query], "outputMetadata": {"exportFormat": "JSON"}}
    made = (await desk.ask("POST", f"{REPORTS}/export", body)).body["id"]
    (url,) = (await desk.ask("GET", f"{REPORTS}/{made}")).body["fileOutput"]["filesLocation"]["measurements"]["paths"]
    assert [one["data"] for one in json.loads(content(desk, url))] == [{"pulse": 61}]


@pytest.mark.parametrize(
    ("queries", "code"),
    [
        ([{"dataType": "patient"}, {"dataType": "patient"}], "QUERIES_MUST_HAVE_DISTINCT_ENTITY_TYPE"),
        ([{"dataType": "measurements"}], "MISSING_FILTERS"),
        ([{"dataType": "measurements", "filter": {"timestamp": {"eq": 1}}}], "TIMESTAMP_FROM_TO_MISSING"),
    ],
)
async def test_a_report_that_cannot_be_is_refused(desk: Desk, queries: Any, code: str) -> None:
    body = {"queries": queries, "outputMetadata": {"exportFormat": "JSON"}}
    refused = await desk.ask("POST", f"{REPORTS}/export", body)
    assert (refused.status, refused.body["code"]) == (400, code)


async def test_locales_come_and_go_but_for_the_systems_and_the_default(desk: Desk) -> None:
    path = "/settings/v1/locales"
    added = await desk.ask("POST", path, {"code": "de-de", "hidden": True})
    assert (added.status, [one["code"] for one in added.body["availableLocales"]]) == (201, ["en-us", "de-de"])
    assert (await desk.ask("POST", path, {"code": "de-de"})).body["code"] == "LOCALE_ALREADY_EXIST"
    configuration = f"{path}/configuration"
    assert (await desk.ask("PATCH", configuration, {"defaultLocaleCode": "de-de"})).body["defaultLocaleCode"] == "de-de"
    for change, code in (
        ({"defaultLocaleCode": "fr-fr"}, "DEFAULT_LOCALE_NOT_IN_AVAILABLE_LOCALES"),
        ({"availableLocales": [{"code": "de-de"}]}, "DELETE_SYSTEM_LOCALE_NOT_ALLOWED"),
    ):
        assert (await desk.ask("PATCH", configuration, change)).body["code"] == code
    for code, refused in (
        ("en-us", "DELETE_SYSTEM_LOCALE_NOT_ALLOWED"),
        ("de-de", "DELETE_DEFAULT_LOCALE_NOT_ALLOWED"),
        ("fr-fr", "LOCALE_NOT_FOUND"),
    ):
        assert (await desk.ask("DELETE", f"{path}/{code}")).body["code"] == refused
    assert (await desk.ask("GET", configuration, token=None)).body["defaultLocaleCode"] == "de-de"


async def test_a_code_snippets_name_is_its_own(desk: Desk) -> None:
    path, body = "/settings/v1/code-snippets", {"name": "one", "language": "JAVASCRIPT", "code": "1"}
    made = (await desk.ask("POST", path, body)).body
    again = await desk.ask("POST", path, body)
    assert (again.status, again.body["code"]) == (409, "CODE_SNIPPET_ALREADY_EXISTS")
    assert (await desk.ask("GET", f"{path}/{made['id']}")).body == made
    assert (await desk.ask("GET", f"{path}/{UNKNOWN_ID}")).body["code"] == "CODE_SNIPPET_NOT_FOUND"


async def test_terraforms_provider_is_told_that_it_fits(desk: Desk) -> None:
    query = {"terraform-provider": "1.2.3", "minimum-biot": "2.0.0"}
    told = (await desk.ask("GET", "/settings/v1/terraform/versions/validate", query=query)).body
    assert (told["status"], told["biotVersion"]["version"]) == ("SUPPORTED", "2.4.2")


async def test_the_sender_of_mails_is_set(desk: Desk) -> None:
    path = "/notification/v1/configuration"
    sender = {"emailSenderDisplayName": "Clinic", "emailSenderAddress": "clinic@example.org"}
    assert (await desk.ask("PUT", path, sender)).body == sender
    assert (await desk.ask("GET", path)).body == sender


async def test_a_device_has_one_certificate_at_a_time(desk: Desk) -> None:
    path = f"/device/v2/devices/{seed.DEVICE_ID}/certificate"
    for method, one in (("DELETE", path), ("POST", f"{path}/activate")):
        none = await desk.ask(method, one)
        assert (none.status, none.body["code"]) == (404, "CERTIFICATE_NOT_FOUND")
    assert (await desk.ask("POST", path)).status == 201
    again = await desk.ask("POST", path)
    assert (again.status, again.body["code"]) == (409, "CERTIFICATE_ALREADY_EXISTS")
    await desk.ask("POST", f"{path}/activate")
    device = (await desk.ask("GET", f"/device/v2/devices/{seed.DEVICE_ID}")).body
    assert device["_status"]["_certificateStatus"] == "PERMANENT"
    assert (await desk.ask("DELETE", path)).status == 204


async def test_a_devices_status_is_merged(desk: Desk) -> None:
    path = f"/device/v2/devices/{seed.DEVICE_ID}/status"
    data = {"_fwVersion": "1.2", "_operational": {"_status": "MINOR"}}
    status = (await desk.ask("PATCH", path, {"data": data})).body["_status"]
    assert (status["_fwVersion"], status["_certificateStatus"]) == ("1.2", "NOT_INSTALLED")
    assert status["_operational"] == {"_status": "MINOR", "_message": None}
