"""Which BioT operations the simulator answers, and whose handlers they are: one table.

Most are families: a kind of entities and the path at which it lives. What BioT knows of each operation beside its
handler (permission, public, interceptable) is the catalogue's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from biot_sidecar.simulator.alerts import DEVICE_ALERT, PATIENT_ALERT, current
from biot_sidecar.simulator.devices import DEVICE, GENERIC, REGISTRATION_CODE, Devices
from biot_sidecar.simulator.entities import Entities, EntityOperations
from biot_sidecar.simulator.files import Files
from biot_sidecar.simulator.kinds import Kind
from biot_sidecar.simulator.login import ServiceLogin
from biot_sidecar.simulator.measurements import Measurements
from biot_sidecar.simulator.organizations import ORGANIZATION, Organizations
from biot_sidecar.simulator.people import CAREGIVER, ORGANIZATION_USER, PATIENT, People
from biot_sidecar.simulator.platform_settings import CODE_SNIPPET, Locales, Messages, snippet_operations
from biot_sidecar.simulator.plugins_api import PLUGIN, PluginsApi
from biot_sidecar.simulator.reports import REPORT, Reports
from biot_sidecar.simulator.router import SERVICES, Operation
from biot_sidecar.simulator.service_users import SERVICE_USER, ServiceUsers
from biot_sidecar.simulator.sessions import COMMAND, SESSION, Sessions
from biot_sidecar.simulator.sign_up import SignUp
from biot_sidecar.simulator.subscriptions import Subscriptions
from biot_sidecar.simulator.template_operations import TemplateOperations
from biot_sidecar.simulator.users import Users
from biot_sidecar.simulator.values import Answer, Call, timestamp

VERSION = "2.4.2"
"""The BioT release whose shapes the simulator answers in."""

KINDS = (
    ORGANIZATION,
    ORGANIZATION_USER,
    CAREGIVER,
    PATIENT,
    PATIENT_ALERT,
    REGISTRATION_CODE,
    DEVICE,
    DEVICE_ALERT,
    SESSION,
    COMMAND,
    GENERIC,
    SERVICE_USER,
    PLUGIN,
    REPORT,
    CODE_SNIPPET,
)
"""Every entity type; the last ones have no templates, and no notifications tell of them."""


@dataclass(frozen=True)
class Parts:
    """What the handlers belong to."""

    entities: Entities
    people: People
    users: Users
    login: ServiceLogin
    service_users: ServiceUsers
    files: Files
    measurements: Measurements
    subscriptions: Subscriptions
    messages: Messages


def operations(parts: Parts) -> Iterator[Operation]:
    """Every operation that is simulated; `catalogue` knows the rest of them."""
    yield from _platform(parts.login)
    yield from parts.service_users.operations()
    yield from _users(parts.users)
    yield from _people(parts.entities, parts.people)
    yield from _organizations(parts.entities)
    yield from _devices(parts.entities)
    yield from _sessions(parts.entities)
    yield from _commands(parts.entities)
    yield from _alerts(parts.entities)
    yield from _generic(parts.entities)
    yield from _files(parts.files)
    yield from _measurements(parts.measurements)
    yield from _subscriptions(parts.subscriptions)
    yield from TemplateOperations(parts.entities).operations()
    yield from PluginsApi(parts.entities, parts.subscriptions).operations()
    yield from Reports(parts.entities, parts.measurements, parts.files).operations()
    yield from SignUp(parts.entities, parts.users).operations()
    yield from Locales().operations()
    yield from parts.messages.operations()
    yield from snippet_operations(parts.entities)


def _collection(handlers: EntityOperations, kind: Kind, path: str) -> Iterator[Operation]:
    """Search, create (by template id and name), read, update and delete."""
    yield Operation("GET", path, handlers.search, kind.name)
    yield Operation("POST", path, handlers.create, kind.name)
    yield Operation("POST", path + "/templates/{templateName}", handlers.create, kind.name)
    yield from _single(handlers, kind, path)


def _single(handlers: EntityOperations, kind: Kind, path: str) -> Iterator[Operation]:
    yield Operation("GET", path + "/{id}", handlers.read, kind.name)
    yield Operation("PATCH", path + "/{id}", handlers.update, kind.name)
    yield Operation("DELETE", path + "/{id}", handlers.delete, kind.name)


def _users(handlers: Users) -> Iterator[Operation]:
    users = "/ums/v2/users"
    yield Operation("POST", users + "/login", handlers.log_in)
    yield Operation("POST", users + "/logout", handlers.log_out)
    yield Operation("POST", users + "/token/login", handlers.log_in_by_token)
    yield Operation("POST", users + "/token/refresh", handlers.refresh)
    yield Operation("POST", users + "/credentials/validate", handlers.validate)
    yield Operation("GET", users + "/self", handlers.read_self)
    yield Operation("PATCH", users + "/self", handlers.update_self)
    yield Operation("DELETE", users + "/self", handlers.delete_self)
    yield Operation("POST", users + "/self/password/forgot", handlers.forgot_password)
    yield Operation("GET", users, handlers.search)
    yield Operation("GET", users + "/{id}", handlers.read)
    yield Operation("PATCH", users + "/{id}", handlers.update)
    yield Operation("DELETE", users + "/{id}", handlers.delete)
    yield Operation("POST", users + "/{id}/password/generate", handlers.generate_password)


def _people(entities: Entities, people: People) -> Iterator[Operation]:
    users = "/organization/v1/users"
    paths = {PATIENT: "/patients", CAREGIVER: "/caregivers", ORGANIZATION_USER: "/organizations"}
    for kind, path in paths.items():
        yield from _collection(EntityOperations(entities, kind), kind, users + path)
        yield Operation("GET", f"{users}{path}/self", people.read_self(kind), kind.name)
        state = f"{users}{path}/{{id}}/enabled-state/{{state}}"
        yield Operation("POST", state, people.set_enabled(kind), kind.name)
    yield Operation("GET", users + "/self", people.read_any_self)
    yield Operation("POST", "/organization/v1/invitations/{userId}", people.invite)


def _organizations(entities: Entities) -> Iterator[Operation]:
    organizations, path, kind = Organizations(entities), "/organization/v1/organizations", ORGANIZATION.name
    handlers = EntityOperations(entities, ORGANIZATION)
    yield Operation("GET", path, handlers.search, kind)
    yield Operation("POST", path, organizations.create, kind)
    yield Operation("POST", path + "/templates/{templateName}", organizations.create, kind)
    yield from _single(handlers, ORGANIZATION, path)
    yield Operation("POST", path + "/admin/{newAdminId}", organizations.change_admin, kind)
    yield Operation("GET", path + "/branding/default", organizations.branding)
    yield Operation("GET", path + "/branding/self", organizations.branding)
    yield Operation("GET", "/organization/v1/users/patients/sign-up/organizations", organizations.sign_up_organizations)
    page = "/organization/v1/landing-pages/{landingPageType}"
    yield Operation("GET", page, organizations.landing_pages)
    yield Operation("PUT", page, organizations.set_landing_page)
    yield Operation("DELETE", page, organizations.delete_landing_page)
    codes = EntityOperations(entities, REGISTRATION_CODE)
    yield from _collection(codes, REGISTRATION_CODE, "/organization/v1/registration-codes")


def _devices(entities: Entities) -> Iterator[Operation]:
    devices, path = Devices(entities), "/device/v2/devices"
    yield from _collection(EntityOperations(entities, DEVICE), DEVICE, path)
    yield Operation("PATCH", path + "/{id}/status", devices.update_status, DEVICE.name)
    yield Operation("POST", path + "/{id}/certificate", devices.create_certificate, DEVICE.name)
    yield Operation("DELETE", path + "/{id}/certificate", devices.delete_certificate, DEVICE.name)
    yield Operation("POST", path + "/{id}/certificate/activate", devices.activate_certificate, DEVICE.name)
    yield Operation("GET", path + "/{id}/connection/details", devices.connection, DEVICE.name)
    yield Operation("GET", path + "/{id}/mqtt-credentials", devices.device_credentials, DEVICE.name)
    yield Operation("GET", "/device/v2/credentials/organization", devices.organization_credentials)
    yield Operation("GET", "/ums/v1/temp-credentials/organization", devices.organization_credentials)
    yield Operation("GET", "/device/v1/endpoint", devices.endpoint)


def _sessions(entities: Entities) -> Iterator[Operation]:
    handlers, sessions, kind = EntityOperations(entities, SESSION), Sessions(entities), SESSION.name
    path = "/device/v1/devices/{deviceId}/usage-sessions"

    remote = EntityOperations(entities, SESSION, "_remoteStart")

    def start(call: Call) -> Answer:
        return remote.create_with(call, _initiator="REMOTE_CONTROL", _startTime=timestamp(call.now))

    running = {"_state": {"not": "DONE"}}
    yield Operation("GET", "/device/v1/devices/usage-sessions", handlers.search, kind)
    yield Operation(
        "GET", "/device/v1/devices/current/usage-sessions", current(entities, SESSION, running, "_sessions"), kind
    )
    yield Operation("POST", path, handlers.create, kind)
    yield Operation("POST", path + "/usage-type/{usageType}", handlers.create, kind)
    yield Operation("POST", path + "/remote-control/start", start, kind)
    yield from _single(handlers, SESSION, path)
    control = path + "/{id}/remote-control"
    pause, resume = (
        sessions.move("_remotePause", ("ACTIVE",), "PAUSED"),
        sessions.move("_remoteResume", ("PAUSED",), "ACTIVE"),
    )
    yield Operation("POST", control + "/pause", pause, kind)
    yield Operation("POST", control + "/resume", resume, kind)
    yield Operation("POST", control + "/stop", sessions.move("_remoteStop", ("ACTIVE", "PAUSED"), "DONE"), kind)
    orphans = "/device/v1/devices/usage-sessions/maintenance/orphans/{deleteOrphanSessionsEnum}"
    yield Operation("DELETE", orphans, sessions.delete_orphans, kind)


def _commands(entities: Entities) -> Iterator[Operation]:
    handlers, kind, sessions = EntityOperations(entities, COMMAND, "_start"), COMMAND.name, Sessions(entities)
    start = sessions.start_command(handlers.create)
    path = "/device/v1/devices/{deviceId}/commands"
    yield Operation("GET", "/device/v1/devices/commands", handlers.search, kind)
    yield Operation("POST", path + "/start", start, kind)
    yield Operation("POST", path + "/{templateName}/start", start, kind)
    yield Operation("GET", path + "/{id}", handlers.read, kind)
    yield Operation("DELETE", path + "/{id}", handlers.delete, kind)
    yield Operation("POST", path + "/{id}/stop", sessions.stop_command, kind)


def _alerts(entities: Entities) -> Iterator[Operation]:
    paths = {
        PATIENT_ALERT: ("/organization/v1/users/patients", "{patientId}"),
        DEVICE_ALERT: ("/device/v1/devices", "{deviceId}"),
    }
    for kind, (path, parent) in paths.items():
        handlers = EntityOperations(entities, kind)
        one = f"{path}/{parent}/alerts"
        still_open = {"_state": {"not": "CLEARED"}}
        yield Operation("GET", path + "/alerts", handlers.search, kind.name)
        yield Operation("GET", path + "/current/alerts", current(entities, kind, still_open, "_alerts"), kind.name)
        yield Operation("POST", one, handlers.create, kind.name)
        yield Operation("POST", one + "/{templateName}", handlers.create, kind.name)
        yield from _single(handlers, kind, one)


def _generic(entities: Entities) -> Iterator[Operation]:
    handlers = EntityOperations(entities, GENERIC)
    yield from _collection(handlers, GENERIC, "/generic-entity/v1/generic-entities")
    path = "/generic-entity/v3/generic-entities/{templateName}"
    yield Operation("GET", path, handlers.search, GENERIC.name)
    yield Operation("POST", path, handlers.create, GENERIC.name)
    yield from _single(handlers, GENERIC, path)


def _platform(login: ServiceLogin) -> Iterator[Operation]:
    yield Operation("POST", "/ums/v2/services/accessToken", login.log_in, checked=False)
    yield Operation("GET", "/ums/v1/security/public-key", login.public_key)
    yield Operation("GET", "/settings/v1/system/properties", _properties)
    yield Operation("GET", "/settings/v1/terraform/versions/validate", _terraform)  # undocumented; its provider asks it
    for service in SERVICES:
        yield Operation("GET", f"/{service}/system/healthCheck", _health)


def _files(files: Files) -> Iterator[Operation]:
    parts = "/file/v1/files/upload/parts"
    yield Operation("POST", "/file/v1/files/upload", files.upload, "file")
    yield Operation("GET", "/file/v1/files/{id}/download", files.download, "file")
    yield Operation("POST", parts, files.upload_parts, "file")
    yield Operation("POST", parts + "/{id}", files.more_urls, "file")
    yield Operation("PUT", parts + "/{id}", files.save_etags, "file")
    yield Operation("POST", parts + "/{id}/complete", files.complete, "file")
    yield Operation("DELETE", parts + "/{id}/cancel", files.cancel, "file")


def _measurements(saved: Measurements) -> Iterator[Operation]:
    path = "/measurement/v1/measurements"
    yield Operation("POST", path, saved.save, "measurement")
    yield Operation("POST", path + "/bulk", saved.save_bulk, "measurement", checked=False)
    yield Operation("GET", path + "/raw", saved.raw_v1, "measurement")
    yield Operation("GET", path + "/aggregated", saved.aggregated_v1, "measurement")
    newer = "/measurement/v2/measurements"
    yield Operation("GET", newer + "/raw", saved.raw_v2, "measurement")
    yield Operation("GET", newer + "/aggregated", saved.aggregated_v2, "measurement")


def _subscriptions(subscriptions: Subscriptions) -> Iterator[Operation]:
    path = "/dispatcher/v1/hooks/interceptions"
    yield Operation("GET", "/settings/v1/interceptions", subscriptions.configurations)
    yield Operation("GET", path, subscriptions.search)
    yield Operation("POST", path + "/subscribe", subscriptions.subscribe, checked=False)
    yield Operation("POST", path + "/unsubscribe", subscriptions.unsubscribe, checked=False)


def _health(call: Call) -> Answer:
    return Answer(200, {"version": VERSION, "springVersion": "simulator", "traceId": call.trace_id})


def _terraform(call: Call) -> Answer:
    """Whether BioT's Terraform provider is of a version that fits: any is."""
    provider, least = call.parameter("terraform-provider"), call.parameter("minimum-biot")
    versions = {"providerVersion": {"version": provider, "minRequired": provider}}
    return Answer(200, versions | {"status": "SUPPORTED", "biotVersion": {"version": VERSION, "minRequired": least}})


def _properties(call: Call) -> Answer:
    return Answer(200, {"biotVersion": VERSION})
