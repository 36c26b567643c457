"""BioT's plugins API: plugins as BioT knows them. None of them runs here: `biot-sidecar lambda` does that."""

from __future__ import annotations

from collections.abc import Iterator

from biot_sidecar.simulator import search
from biot_sidecar.simulator.entities import Entities, made_by_biot, refusal_404
from biot_sidecar.simulator.facts import facts_of, fields_of, refusal
from biot_sidecar.simulator.kinds import Kind
from biot_sidecar.simulator.lenient import filled
from biot_sidecar.simulator.refusals import refuse
from biot_sidecar.simulator.router import Operation
from biot_sidecar.simulator.subscriptions import Subscriptions
from biot_sidecar.simulator.values import Answer, BiotError, Call, Json, timestamp

_PREFIX = "Plugin-"
_RESERVED = "BIOT_"

PLUGIN = Kind(
    name="plugin",
    shape="PluginResponse",
    not_found="PLUGIN_NOT_FOUND",
    prefix="",
    id_name="name",
    id_detail="pluginName",
    given_id=True,
)


class PluginsApi:
    """`/settings/v2/plugins`. What interceptions there are, `subscriptions` know."""

    def __init__(self, entities: Entities, subscriptions: Subscriptions) -> None:
        self._entities = entities
        self._subscriptions = subscriptions

    def operations(self) -> Iterator[Operation]:
        path = "/settings/v2/plugins"
        yield Operation("GET", path, self.search)
        yield Operation("POST", path, self.create)
        yield Operation("GET", path + "/{name}", self.read)
        yield Operation("PATCH", path + "/{name}", self.update)
        yield Operation("DELETE", path + "/{name}", self.delete)
        yield Operation("GET", path + "/docker-repository/temp-credentials", self.docker_credentials)

    def search(self, call: Call) -> Answer:
        return Answer(200, self._entities.search(PLUGIN, search.parse(call.parameter("searchRequest"))))

    def create(self, call: Call) -> Answer:
        config = _config(call)
        name = _PREFIX + str(config["name"])
        if self._entities.of(PLUGIN.name).get(name) is not None:
            raise BiotError(409, "PLUGIN_EXISTS_BY_NAME", "There is a plugin of this name", {"pluginName": name})
        self._check(config, call)
        url = {"endpointUrl": f"https://{name.lower()}.example.invalid/", "linkToConsole": "https://example.invalid/"}
        made = self._entities.create(PLUGIN, _defaults() | config | url, made_by_biot(call), id=name)
        return Answer(201, made)

    def read(self, call: Call) -> Answer:
        return Answer(200, self._entities.shown(PLUGIN, self._entities.get(PLUGIN, call.variables["name"], call)))

    def update(self, call: Call) -> Answer:
        plugin, config = self._entities.get(PLUGIN, call.variables["name"], call), _config(call)
        self._check(config, call)
        _check_version(plugin, config, call)
        kept = {name: value for name, value in config.items() if value is not None and name != "subscriptions"}
        subscriptions = (plugin.get("subscriptions") or {}) | (config.get("subscriptions") or {})
        replaced: Json = {"subscriptions": subscriptions, "lastModifiedTime": timestamp(call.now)} | kept
        cors = (plugin.get("cors") or {}) | (config.get("cors") or {})
        return Answer(200, self._entities.update(PLUGIN, plugin["name"], {}, call, **replaced | {"cors": cors}))

    def delete(self, call: Call) -> Answer:
        self._entities.delete(PLUGIN, call.variables["name"], call)
        return Answer(204)

    def docker_credentials(self, call: Call) -> Answer:
        credentials = dict.fromkeys(fields_of("@Credentials"), "INVENTED") | {
            "expiration": timestamp(call.now + 12 * 3600)
        }
        repository = {"region": "us-east-1", "repositoryUri": "registry.example.invalid/plugins"}
        return Answer(200, repository | {"credentials": credentials})

    def _check(self, config: Json, call: Call) -> None:
        facts = facts_of(call.api_id)
        for name in config.get("environmentVariables") or {}:
            if name.startswith(_RESERVED):
                details = {"environmentVariable": name, "reservedPrefix": _RESERVED}
                code = "ENVIRONMENT_VARIABLES_CANNOT_START_WITH_RESERVED_PREFIX"
                refuse(call, refusal(facts, code, "This name is BioT's", **details), "environmentVariables")
        for one in (config.get("subscriptions") or {}).get("interceptions") or ():
            api_id, adapts = one.get("apiId"), one["type"] == "ADAPT_ENTITY"
            if adapts is bool(api_id):
                details = {"type": one["type"], "correctValue": None if adapts else "an apiId", "apiId": api_id}
                code = "INTERCEPTION_MUST_HAVE_CORRECT_API_ID_NULL_VALUE_FOR_TYPE"
                refuse(call, refusal(facts, code, "ADAPT_ENTITY has no apiId, the others need one", **details), "apiId")
            elif api_id and not self._subscriptions.is_interceptable(api_id):
                details = {"value": api_id, "fieldName": "apiId"}
                message = "There is no such operation that can be intercepted"
                refuse(call, refusal_404(call, "INTERCEPTION_CONFIGURATION_NOT_FOUND", message, details), "apiId")


def _config(call: Call) -> Json:
    config = call.document().get("config")
    if not isinstance(config, dict):
        refuse(call, BiotError(400, "BAD_REQUEST", "The form needs the part [config], a JSON object"), "config")
        return filled({}, fields_of(facts_of(call.api_id).body)["config"], call)
    return config


def _check_version(plugin: Json, config: Json, call: Call) -> None:
    facts, current, wanted = facts_of(call.api_id), plugin["version"], config.get("version")
    details = {"currentVersion": current, "requestVersion": wanted}
    has_code = call.document().get("code") is not None or config.get("imageTag") is not None
    if has_code and (wanted is None or wanted <= current):
        code = "PLUGIN_VERSION_MUST_BE_LARGER_WHEN_UPDATING_CODE"
        refuse(call, refusal(facts, code, "New code needs a larger version", **details), "version")
    if not has_code and wanted not in (None, current):
        code = "PLUGIN_VERSION_MUST_NOT_BE_CHANGED_WHEN_NOT_UPDATING_CODE"
        refuse(call, refusal(facts, code, "The version changes with the code only", **details), "version")


def _defaults() -> Json:
    return {
        "handler": "index.handler",
        "timeout": 60,
        "memorySize": 128,
        "ephemeralStorage": 512,
        "environmentVariables": {},
        "enabledState": "ENABLED",
        "deploymentPackageType": "ZIP",
        "analyticsDbAccess": False,
        "subscriptions": {"interceptions": [], "notifications": []},
    }
