"""Human login and the users behind people: whoever has an email, and may log in, is a user of that name.

Every user has the options' password until it is changed. Refresh tokens are texts of their own; access tokens are JWTs
with BioT's claims of a USER.
"""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from typing import Any

from biot_sidecar.simulator import search
from biot_sidecar.simulator.entities import Entities
from biot_sidecar.simulator.facts import facts_of
from biot_sidecar.simulator.kinds import Kind
from biot_sidecar.simulator.options import SimulatorOptions
from biot_sidecar.simulator.people import PEOPLE, People, user_not_found
from biot_sidecar.simulator.refusals import refuse
from biot_sidecar.simulator.tokens import Tokens
from biot_sidecar.simulator.values import Answer, BiotError, Call, Change, Initiator, Json, timestamp

_REFRESH_LIFE = 14 * 24 * 3600.0  # seconds
_SHORTEST_PASSWORD = 8


@dataclass
class Session:
    """One login of a person, until it is ended: its refresh token's id, and when that ends."""

    user: str
    id: str
    expires: float


class Users:
    """Knows who may log in, gives them tokens, and answers BioT's operations on users."""

    def __init__(self, entities: Entities, people: People, tokens: Tokens, options: SimulatorOptions) -> None:
        self._entities = entities
        self._people = people
        self._tokens = tokens
        self._options = options
        self._passwords: dict[str, str] = {}  # of users who have one of their own
        self._locked: set[str] = set()
        self._sessions: dict[str, Session] = {}  # by refresh token

    def log_in(self, call: Call) -> Answer:
        """`POST /ums/v2/users/login`."""
        body = call.document()
        found = self._named(str(body["username"]))
        if found is None or body.get("password") != self.password_of(found[1]["_id"]):
            raise _login_failed()
        return self._logged_in(*found, call)

    def refresh(self, call: Call) -> Answer:
        """`POST /ums/v2/users/token/refresh`."""
        return self._renewed(call, "REFRESH_TOKEN_NOT_VALID")

    def log_in_by_token(self, call: Call) -> Answer:
        """`POST /ums/v2/users/token/login`."""
        return self._renewed(call, "LOGIN_FAILED")

    def log_out(self, call: Call) -> Answer:
        """`POST /ums/v2/users/logout`; a token that is not known is nobody's login."""
        session = self._sessions.pop(str(call.document()["refreshToken"]), None)
        found = self._people.find(session.user) if session else None
        if session and found:
            self._tokens.revoke_of(session.user)
            call.changes.append(Change(found[0].name, "_logout", self._entities.shown(*found)))
        return Answer(200)

    def password_of(self, identity: str) -> str:
        return self._passwords.get(identity, self._options.user_password)

    def set_password(self, identity: str, password: str) -> None:
        self._passwords[identity] = password

    def read_self(self, call: Call) -> Answer:
        """`GET /ums/v2/users/self`."""
        return Answer(200, self._shown(self._get(call.initiator.id, call)))

    def update_self(self, call: Call) -> Answer:
        """`PATCH /ums/v2/users/self`: a new password, for who knows the current one."""
        entity, password = self._get(call.initiator.id, call), call.document().get("password")
        if password is not None:
            if password["current"] != self.password_of(entity["_id"]):
                raise BiotError(400, "INVALID_PASSWORD", "The current password is another one")
            if len(password["new"]) < _SHORTEST_PASSWORD:
                raise BiotError(400, "WEAK_PASSWORD", "The new password is too weak", {"score": 1})
            self.set_password(entity["_id"], password["new"])
        return Answer(200, self._shown(entity))

    def delete_self(self, call: Call) -> Answer:
        """`DELETE /ums/v2/users/self`."""
        return self._deleted(call.initiator.id, call)

    def search(self, call: Call) -> Answer:
        """`GET /ums/v2/users`."""
        users = [self._shown(one) for kind in PEOPLE for one in self._entities.of(kind.name) if _name_of(one)]
        return Answer(200, search.search(users, search.parse(call.parameter("searchRequest"))))

    def read(self, call: Call) -> Answer:
        """`GET /ums/v2/users/{id}`."""
        return Answer(200, self._shown(self._get(call.variables["id"], call)))

    def update(self, call: Call) -> Answer:
        """`PATCH /ums/v2/users/{id}`: locked, active, and the name, which no other user may have."""
        entity, body = self._get(call.variables["id"], call), call.document()
        name = body.get("username")
        if name and name != _name_of(entity):
            if self._named(name):
                details = {"username": name}
                refuse(
                    call, BiotError(409, "USERNAME_ALREADY_EXISTS", "Another user has this name", details), "username"
                )
            entity = self._changed(entity, call, _username=name)
        if body.get("active") is not None:
            entity = self._changed(entity, call, _enabled="ENABLED" if body["active"] else "DISABLED")
        if body.get("locked") is not None:
            (self._locked.add if body["locked"] else self._locked.discard)(entity["_id"])
        return Answer(200, self._shown(entity))

    def delete(self, call: Call) -> Answer:
        """`DELETE /ums/v2/users/{id}`."""
        return self._deleted(call.variables["id"], call)

    def generate_password(self, call: Call) -> Answer:
        """`POST /ums/v2/users/{id}/password/generate`."""
        entity = self._get(call.variables["id"], call)
        self.set_password(entity["_id"], secrets.token_urlsafe(12))
        return Answer(201, {"userId": entity["_id"], "userPassword": self.password_of(entity["_id"])})

    def forgot_password(self, call: Call) -> Answer:
        """`POST /ums/v2/users/self/password/forgot`: whether there is such a user is not told, and no mail is sent."""
        return Answer(202)

    def validate(self, call: Call) -> Answer:
        """`POST /ums/v2/users/credentials/validate`."""
        body = call.document()
        weak, taken = len(body["password"]) < _SHORTEST_PASSWORD, bool(self._named(body["username"]))
        code = "WEAK_PASSWORD" if weak else "USERNAME_ALREADY_EXIST" if taken else None
        strength = {"score": 1 if weak else 4, "suggestions": None, "warningMessage": None}
        return Answer(200, {"success": code is None, "message": code, "code": code, "passwordStrength": strength})

    def is_taken(self, name: str) -> bool:
        """Whether a user has this name."""
        return self._named(name) is not None

    def _named(self, name: str) -> tuple[Kind, Json] | None:
        for kind in PEOPLE:
            for path in ("_username", "_email"):
                for entity in self._entities.of(kind.name).having(path, [name]):
                    if _name_of(entity) == name:
                        return kind, entity
        return None

    def _get(self, identity: str, call: Call) -> Json:
        found = self._people.find(identity)
        if found is None or not _name_of(found[1]):
            raise user_not_found(call, identity)
        return found[1]

    def _changed(self, entity: Json, call: Call, **system: Any) -> Json:
        found = self._people.find(entity["_id"])
        if found is None:
            raise user_not_found(call, entity["_id"])
        return self._entities.update(found[0], entity["_id"], {}, call, "_update", **system)

    def _deleted(self, identity: str, call: Call) -> Answer:
        entity = self._get(identity, call)
        found = self._people.find(entity["_id"])
        if found is not None:
            self._entities.delete(found[0], entity["_id"], call)
        self._tokens.revoke_of(entity["_id"])
        return Answer(204)

    def _logged_in(self, kind: Kind, entity: Json, call: Call) -> Answer:
        if entity["_enabled"] != "ENABLED" or entity["_id"] in self._locked:
            raise _login_failed()
        session = Session(entity["_id"], str(uuid.uuid4()), call.now + _REFRESH_LIFE)
        text = secrets.token_urlsafe(48)
        self._sessions[text] = session
        call.changes.append(Change(kind.name, "_login", self._entities.shown(kind, entity)))
        return Answer(200, self._pair(entity, session, text, call.now))

    def _renewed(self, call: Call, code: str) -> Answer:
        text = str(call.document()["refreshToken"])
        session = self._sessions.get(text)
        found = self._people.find(session.user) if session and call.now < session.expires else None
        if session is None or found is None:
            raise refusal_403(call, code)
        return Answer(200, self._pair(found[1], session, text, call.now))

    def _pair(self, entity: Json, session: Session, text: str, now: float) -> Json:
        expires, organization = now + self._options.token_life, entity["_ownerOrganization"]["id"]
        claims = {"refreshTokenId": session.id, "tenantId": organization, "sub": entity["_id"]}
        initiator = Initiator(entity["_id"], organization, "USER")
        token = self._tokens.issue(initiator, self._options.scopes, expires, claims)
        return {
            "userId": entity["_id"],
            "ownerOrganizationId": organization,
            "accessJwt": {"token": token, "expiration": timestamp(expires)},
            "refreshJwt": {"token": text, "expiration": timestamp(session.expires)},
            "mfaRequired": False,
            "mfaExpiration": None,
            "passwordResetRequired": False,
            "phone": None,
        }

    def _shown(self, entity: Json) -> Json:
        return {
            "username": _name_of(entity),
            "id": entity["_id"],
            "ownerOrganizationId": entity["_ownerOrganization"]["id"],
            "groups": [],
            "locked": entity["_id"] in self._locked,
            "active": entity["_enabled"] == "ENABLED",
            "mfa": None,
            "loginTimestamp": None,
            "credentialType": entity.get("_credentialType"),
            "userIdPs": ["UMS"],
        }


def _name_of(entity: Json) -> str:
    """The name that a person logs in by; empty for who may not."""
    if entity.get("_canLogin") is False:
        return ""
    return str(entity.get("_username") or entity.get("_email") or "")


def _login_failed() -> BiotError:
    return BiotError(403, "LOGIN_FAILED", "Login failed: wrong username or password")


def refusal_403(call: Call, code: str) -> BiotError:
    return BiotError(facts_of(call.api_id).status_of(code) or 403, code, "This refresh token is not valid")
