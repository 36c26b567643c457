"""The small things of BioT's settings and notification services: locales, code snippets, mails and messages."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from biot_sidecar.simulator.entities import Entities, EntityOperations
from biot_sidecar.simulator.facts import facts_of, refusal
from biot_sidecar.simulator.history import log
from biot_sidecar.simulator.kinds import Kind, Unique
from biot_sidecar.simulator.router import Operation
from biot_sidecar.simulator.values import Answer, BiotError, Call, Change, Json

SYSTEM_LOCALE = "en-us"

CODE_SNIPPET = Kind(
    name="code-snippet",
    shape="CodeSnippetResponse",
    not_found="CODE_SNIPPET_NOT_FOUND",
    unique=(Unique("name", "CODE_SNIPPET_ALREADY_EXISTS", "name"),),
    prefix="",
)


class Locales:
    """Which languages there are."""

    def __init__(self) -> None:
        self._locales: dict[str, Json] = {SYSTEM_LOCALE: _locale({"code": SYSTEM_LOCALE})}
        self._default = SYSTEM_LOCALE

    def operations(self) -> Iterator[Operation]:
        yield Operation("GET", "/settings/v1/locales/configuration", lambda call: self._answer(200))
        yield Operation("PATCH", "/settings/v1/locales/configuration", self.update)
        yield Operation("POST", "/settings/v1/locales", self.add)
        yield Operation("DELETE", "/settings/v1/locales/{id}", self.delete)

    def add(self, call: Call) -> Answer:
        body = call.document()
        if body["code"] in self._locales:
            raise refusal(facts_of(call.api_id), "LOCALE_ALREADY_EXIST", "There is this locale already")
        self._locales[body["code"]] = _locale(body)
        return self._answer(201)

    def update(self, call: Call) -> Answer:
        body, facts = call.document(), facts_of(call.api_id)
        given = body.get("availableLocales")
        locales = self._locales if given is None else {one["code"]: _locale(one) for one in given}
        default = body.get("defaultLocaleCode") or self._default
        if SYSTEM_LOCALE not in locales:
            raise refusal(facts, "DELETE_SYSTEM_LOCALE_NOT_ALLOWED", "The system's locale stays")
        if default not in locales:
            raise refusal(facts, "DEFAULT_LOCALE_NOT_IN_AVAILABLE_LOCALES", "The default is none of the locales")
        self._locales, self._default = locales, default
        return self._answer(200)

    def delete(self, call: Call) -> Answer:
        code, facts = call.variables["id"], facts_of(call.api_id)
        if code == SYSTEM_LOCALE:
            raise refusal(facts, "DELETE_SYSTEM_LOCALE_NOT_ALLOWED", "The system's locale stays")
        if code == self._default:
            raise refusal(facts, "DELETE_DEFAULT_LOCALE_NOT_ALLOWED", "The default locale stays")
        if code not in self._locales:
            raise BiotError(404, "LOCALE_NOT_FOUND", "There is no such locale")
        del self._locales[code]
        return self._answer(200)

    def _answer(self, status: int) -> Answer:
        names = {"defaultLocaleCode": self._default, "systemLocaleCode": SYSTEM_LOCALE}
        return Answer(status, {"availableLocales": list(self._locales.values())} | names)


def _locale(body: Json) -> Json:
    return {
        "code": body["code"],
        "hidden": bool(body.get("hidden")),
        "translationFallbackTypes": body.get("translationFallbackTypes") or ["DEFAULT_LOCALE", "SYSTEM_LOCALE"],
    }


class Messages:
    """BioT's notification service: what would be sent goes nowhere, and the log says so."""

    def __init__(self) -> None:
        self._last: dict[str, str] = {}  # phone number -> the id of the last message that was sent there
        self._sender = {"emailSenderDisplayName": "BioT simulator", "emailSenderAddress": "noreply@example.org"}

    def operations(self) -> Iterator[Operation]:
        path = "/notification/v1"
        yield Operation("GET", path + "/configuration", lambda call: Answer(200, self._sender))
        yield Operation("PUT", path + "/configuration", self.configure)
        yield Operation("GET", path + "/configuration/sms-provider-configuration", _sms_provider)
        yield Operation("POST", path + "/send-email", _sent)
        yield Operation("POST", path + "/sms/send", self.send)
        yield Operation("POST", path + "/attachment", _attached)

    def send(self, call: Call) -> Answer:
        """`POST /notification/v1/sms/send`."""
        log.info("a text message would be sent now")
        number = str(call.document().get("phoneNumber"))
        self._last[number] = str(uuid.uuid4())
        return Answer(200, {"messageId": self._last[number]})

    def incoming(self, sender: tuple[Kind, Json], text: str) -> Change:
        """What a text message from a person is to who is notified. BioT does not publish what it tells beside the
        person: here it is the text, the number, and which message of ours was the last one to that number.
        """
        kind, person = sender
        number = person.get("_phone")
        told = {"message": text, "phoneNumber": number, "previousMessageId": self._last.get(str(number))}
        return Change(kind.name, "_incomingSms", person, more=told)

    def configure(self, call: Call) -> Answer:
        self._sender = {name: call.document()[name] for name in self._sender}
        return Answer(200, self._sender)


def _sms_provider(call: Call) -> Answer:
    return Answer(200, {"configured": True})


def _sent(call: Call) -> Answer:
    log.info("an email would be sent now")
    return Answer(200)


def _attached(call: Call) -> Answer:
    return Answer(200, {"key": str(uuid.uuid4())})


def snippet_operations(entities: Entities) -> Iterator[Operation]:
    """`/settings/v1/code-snippets`."""
    handlers, path = EntityOperations(entities, CODE_SNIPPET), "/settings/v1/code-snippets"
    yield Operation("GET", path, handlers.search)
    yield Operation("POST", path, handlers.create)
    yield Operation("GET", path + "/{id}", handlers.read)
    yield Operation("DELETE", path + "/{id}", handlers.delete)
