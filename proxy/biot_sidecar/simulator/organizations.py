"""Organizations: their kind, their first administrator, branding, landing pages, and who may sign up."""

from __future__ import annotations

import uuid

from biot_sidecar.simulator import search
from biot_sidecar.simulator.entities import Entities, made_by_biot
from biot_sidecar.simulator.facts import facts_of, fields_of, refusal
from biot_sidecar.simulator.kinds import OWNER, Kind, Stored, Unique
from biot_sidecar.simulator.options import MANUFACTURER_ID
from biot_sidecar.simulator.people import ORGANIZATION_USER, user_not_found
from biot_sidecar.simulator.values import Answer, BiotError, Call, Json

_PAGES = ("ACCEPT_INVITATION", "FORGOT_PASSWORD")
_USER_TYPES = ("organization-user", "caregiver", "patient")


def _organization(entity: Json, old: Json | None, call: Call, stored: Stored) -> None:
    if old is None and "id" not in entity.get("_primaryAdministrator", {}):
        name = entity.get("_primaryAdministrator", {}).get("_name") or {}
        caption = f"{name.get('lastName', '')} {name.get('firstName', '')}".strip()
        entity["_primaryAdministrator"] = {"id": str(uuid.uuid4()), "name": caption or None}


def _keep_first(entity: Json, call: Call, stored: Stored) -> None:
    if entity["_id"] == MANUFACTURER_ID:
        raise BiotError(403, "CANNOT_DELETE_FIRST_ORGANIZATION", "The first organization cannot be deleted")


ORGANIZATION = Kind(
    name="organization",
    shape="OrganizationResponse",
    not_found="ORGANIZATION_NOT_FOUND",
    template="Organization",
    caption=lambda entity: entity.get("_name"),
    derive=_organization,
    guard=_keep_first,
    references=OWNER,
    unique=(Unique("_name", "ORGANIZATION_ALREADY_EXIST", "name"),),
    mandatory=("_name",),
)


class Organizations:
    """What organizations have beside the operations of every entity."""

    def __init__(self, entities: Entities) -> None:
        self._entities = entities
        self._pages: dict[tuple[str, str, str], Json] = {}

    def create(self, call: Call) -> Answer:
        """An organization and its first administrator, a user of it: both, or none of them."""
        body, name = call.document(), call.variables.get("templateName", "")
        created = self._entities.create(ORGANIZATION, body, call, name)
        admin = {"_ownerOrganization": {"id": created["_id"]}} | (body.get("_primaryAdministrator") or {})
        try:
            identity = created["_primaryAdministrator"]["id"]
            self._entities.create(ORGANIZATION_USER, admin, made_by_biot(call), id=identity)
        except BiotError:
            self._entities.of(ORGANIZATION.name).remove(created["_id"])
            call.changes.clear()
            raise
        return Answer(201, created)

    def change_admin(self, call: Call) -> Answer:
        """`POST /organization/v1/organizations/admin/{newAdminId}`."""
        identity = call.variables["newAdminId"]
        user = self._entities.of(ORGANIZATION_USER.name).get(identity)
        if user is None:
            raise user_not_found(call, identity)
        admin = self._entities.reference(ORGANIZATION_USER, user)
        owner = user["_ownerOrganization"]["id"]
        updated = self._entities.update(ORGANIZATION, owner, {}, call, "_updateAdmin", _primaryAdministrator=admin)
        return Answer(200, updated)

    def branding(self, call: Call) -> Answer:
        """`GET .../branding/default` and `.../branding/self`."""
        own = self._entities.of(ORGANIZATION.name).get(call.initiator.organization) or {}
        return Answer(200, dict.fromkeys(fields_of("@BrandingResponse")) | (own.get("_branding") or {}))

    def sign_up_organizations(self, call: Call) -> Answer:
        """`GET /organization/v1/users/patients/sign-up/organizations`."""
        found = self._entities.search(ORGANIZATION, search.parse(call.parameter("searchRequest")))
        names = fields_of("@BasicOrganizationResponse")
        return Answer(200, found | {"data": [{name: one.get(name) for name in names} for one in found["data"]]})

    def landing_pages(self, call: Call) -> Answer:
        """`GET /organization/v1/landing-pages/{landingPageType}`."""
        kind = _page_type(call)
        return Answer(200, {"type": kind, "pages": [page for key, page in self._pages.items() if key[0] == kind]})

    def set_landing_page(self, call: Call) -> Answer:
        """`PUT /organization/v1/landing-pages/{landingPageType}`."""
        kind, body = _page_type(call), call.document()
        key = _page_key(kind, body, call)
        if not str(body["url"]).startswith(("http://", "https://")):
            raise refusal(facts_of(call.api_id), "INVALID_LANDING_PAGE_URL", "This is no URL", url=body["url"])
        names = ("userType", "organizationId", "url")
        self._pages[key] = {name: body.get(name) for name in names} | {"landingPageType": kind}
        return Answer(200, self._pages[key])

    def delete_landing_page(self, call: Call) -> Answer:
        """`DELETE /organization/v1/landing-pages/{landingPageType}`."""
        kind, body = _page_type(call), call.document()
        key = _page_key(kind, body, call)
        if key not in self._pages:
            details = {"landingPageType": kind, "userType": key[1], "organizationId": key[2] or None}
            message = "There is no such landing page"
            raise refusal(facts_of(call.api_id), "LANDING_PAGE_IS_NOT_CONFIGURED", message, **details)
        del self._pages[key]
        return Answer(204)


def _page_type(call: Call) -> str:
    kind = call.variables["landingPageType"]
    if kind not in _PAGES:
        raise BiotError(400, "BAD_REQUEST", f"A landing page is one of {', '.join(_PAGES)}")
    return kind


def _page_key(kind: str, body: Json, call: Call) -> tuple[str, str, str]:
    user_type = str(body.get("userType"))
    if user_type not in _USER_TYPES:
        details = {"validUserTypes": list(_USER_TYPES), "userType": user_type}
        raise refusal(facts_of(call.api_id), "INVALID_USER_TYPE", "There is no such user type", **details)
    return kind, user_type, str(body.get("organizationId") or "")
