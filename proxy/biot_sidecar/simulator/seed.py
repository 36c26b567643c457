"""The invented people and things a simulator starts with; their ids are easy to type."""

from __future__ import annotations

from biot_sidecar.simulator.alerts import DEVICE_ALERT, PATIENT_ALERT
from biot_sidecar.simulator.devices import DEVICE, GENERIC, REGISTRATION_CODE
from biot_sidecar.simulator.entities import Entities
from biot_sidecar.simulator.kinds import Kind
from biot_sidecar.simulator.options import MANUFACTURER_ID, ORGANIZATION_ID
from biot_sidecar.simulator.organizations import ORGANIZATION
from biot_sidecar.simulator.people import CAREGIVER, ORGANIZATION_USER, PATIENT
from biot_sidecar.simulator.sessions import COMMAND, SESSION
from biot_sidecar.simulator.values import Call, Json, timestamp

PATIENT_ID = "11111111-1111-1111-1111-111111111111"
SECOND_PATIENT_ID = "11111111-1111-1111-1111-111111111112"
CAREGIVER_ID = "22222222-2222-2222-2222-222222222222"
ADMIN_ID = "22222222-2222-2222-2222-222222222223"
USER_ID = "22222222-2222-2222-2222-222222222224"
GENERIC_ID = "44444444-4444-4444-4444-444444444444"
DEVICE_ID = "demo-device-1"
FREE_DEVICE_ID = "demo-device-2"
FREE_CODE_ID = "55555555-5555-5555-5555-555555555556"
REGISTRATION_CODE_ID = "55555555-5555-5555-5555-555555555555"
PATIENT_ALERT_ID = "66666666-6666-6666-6666-666666666666"
DEVICE_ALERT_ID = "66666666-6666-6666-6666-666666666667"
SESSION_ID = "77777777-7777-7777-7777-777777777777"
COMMAND_ID = "88888888-8888-8888-8888-888888888888"

_ADMIN = {"id": ADMIN_ID, "name": "Admin Ada"}
_DEVICE = {"_device": {"id": DEVICE_ID}}

_SEEDS: tuple[tuple[Kind, str, Json], ...] = (
    (
        ORGANIZATION,
        MANUFACTURER_ID,
        {"_name": "BioT", "_ownerOrganization": {"id": MANUFACTURER_ID}, "_primaryAdministrator": _ADMIN},
    ),
    (
        ORGANIZATION,
        ORGANIZATION_ID,
        {
            "_name": "Example Clinic",
            "_timezone": "UTC",
            "_locale": "en-us",
            "_ownerOrganization": {"id": MANUFACTURER_ID},
            "_primaryAdministrator": _ADMIN,
        },
    ),
    (
        ORGANIZATION_USER,
        ADMIN_ID,
        {
            "_name": {"firstName": "Ada", "lastName": "Admin"},
            "_email": "ada.admin@example.org",
            "_ownerOrganization": {"id": MANUFACTURER_ID},
        },
    ),
    (
        ORGANIZATION_USER,
        USER_ID,
        {"_name": {"firstName": "Olga", "lastName": "Office"}, "_email": "olga.office@example.org"},
    ),
    (
        CAREGIVER,
        CAREGIVER_ID,
        {"_name": {"firstName": "Casey", "lastName": "Carer"}, "_email": "casey@example.org"},
    ),
    (
        PATIENT,
        PATIENT_ID,
        {
            "_name": {"firstName": "Demo", "lastName": "Patient"},
            "_email": "demo.patient@example.org",
            "_gender": "UNDISCLOSED",
            "_dateOfBirth": "1980-01-01",
            "_nationalId": "123456789",
            "_canLogin": True,
            "_caregiver": {"id": CAREGIVER_ID},
            "age": 42,
        },
    ),
    (
        PATIENT,
        SECOND_PATIENT_ID,
        {
            "_name": {"firstName": "Sample", "lastName": "Person"},
            "_email": "sample.person@example.org",
            "_gender": "FEMALE",
            "_dateOfBirth": "1990-12-31",
            "age": 33,
        },
    ),
    (REGISTRATION_CODE, REGISTRATION_CODE_ID, {"_code": "demo-code-1"}),
    (
        DEVICE,
        DEVICE_ID,
        {
            "_id": DEVICE_ID,
            "_description": "A device that measures nothing",
            "_patient": {"id": PATIENT_ID},
            "_registrationCode": {"id": REGISTRATION_CODE_ID},
        },
    ),
    (REGISTRATION_CODE, FREE_CODE_ID, {"_code": "demo-code-2"}),
    (
        DEVICE,
        FREE_DEVICE_ID,
        {
            "_id": FREE_DEVICE_ID,
            "_description": "A device without a patient",
            "_registrationCode": {"id": FREE_CODE_ID},
        },
    ),
    (PATIENT_ALERT, PATIENT_ALERT_ID, {"_name": "Demo alert", "_patient": {"id": PATIENT_ID}, "_severity": "MINOR"}),
    (DEVICE_ALERT, DEVICE_ALERT_ID, {"_name": "Demo alert", "_severity": "MINOR"} | _DEVICE),
    (GENERIC, GENERIC_ID, {"_name": "Demo note", "text": "Invented"}),
)


def plant(entities: Entities, now: float) -> None:
    """Put the invented entities into an empty store."""
    entities.templates.add_attributes(PATIENT, [("age", "INTEGER")])
    entities.templates.add_attributes(GENERIC, [("text", "PARAGRAPH")])
    call = Call(now=now)
    for kind, identity, body in _SEEDS:
        entities.create(kind, body, call, id=identity)
    # What has ended stands in nobody's way.
    done = {"_startTime": timestamp(now - 3600), "_endTime": timestamp(now - 1800)}
    entities.create(SESSION, _DEVICE | done | {"_state": "DONE", "_name": "Demo session"}, call, id=SESSION_ID)
    entities.create(COMMAND, _DEVICE | done | {"_state": "COMPLETED", "_name": "Demo command"}, call, id=COMMAND_ID)
