"""The invented people and things a simulator starts with; their ids are easy to type."""

from __future__ import annotations

from biot_sidecar.simulator.entities import (
    CAREGIVER,
    DEVICE,
    GENERIC,
    ORGANIZATION,
    PATIENT,
    EntityStore,
    Kind,
)
from biot_sidecar.simulator.options import ORGANIZATION_ID
from biot_sidecar.simulator.values import Json

PATIENT_ID = "11111111-1111-1111-1111-111111111111"
SECOND_PATIENT_ID = "11111111-1111-1111-1111-111111111112"
CAREGIVER_ID = "22222222-2222-2222-2222-222222222222"
GENERIC_ID = "44444444-4444-4444-4444-444444444444"
DEVICE_ID = "demo-device-1"

_SEEDS: tuple[tuple[Kind, str, Json], ...] = (
    (ORGANIZATION, ORGANIZATION_ID, {"_name": "Example Clinic", "_timezone": "UTC", "_locale": "en-us"}),
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
    (
        DEVICE,
        DEVICE_ID,
        {"_id": DEVICE_ID, "_description": "A device that measures nothing", "_patient": {"id": PATIENT_ID}},
    ),
    (GENERIC, GENERIC_ID, {"_name": "Demo note", "text": "Invented"}),
)


def plant(store: EntityStore, now: float) -> None:
    """Put the invented entities into an empty store."""
    for kind, identity, body in _SEEDS:
        store.create(kind, body, now, identity=identity)
