"""Whether requests are traced: what OTEL_* and SIDECAR_TRACES say together."""

from __future__ import annotations

import pytest
from biot_sidecar import extras

from tests.settings.given import problem, settings

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
COLLECTOR = {ENDPOINT: "http://localhost:4318"}


@pytest.mark.parametrize(
    ("env", "traced"),
    [
        ({}, False),
        (COLLECTOR, True),
        ({ENDPOINT: " "}, False),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://collector.example/v1/traces"}, True),
        ({"SIDECAR_TRACES": "1"}, True),
        (COLLECTOR | {"SIDECAR_TRACES": "0"}, False),
        (COLLECTOR | {"OTEL_SDK_DISABLED": "true"}, False),
        (COLLECTOR | {"OTEL_TRACES_EXPORTER": "none"}, False),
        (COLLECTOR | {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, True),
        ({"OTEL_SERVICE_NAME": "plugin"}, False),
    ],
)
def test_a_collector_is_named_and_nothing_says_no(env, traced):
    given = settings(**env)
    assert given.traces is traced
    assert given.warnings == ()


UNUSABLE = [
    ({ENDPOINT: "collector:4317"}, ENDPOINT, "is no address of a collector, such as http://localhost:4318"),
    ({ENDPOINT: "http://canary:canary@[::1"}, ENDPOINT, "is no address of a collector, such as http://localhost:4318"),
    ({ENDPOINT: "http://h:port"}, ENDPOINT, "is no address of a collector, such as http://localhost:4318"),
    (
        COLLECTOR | {"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "asks for another protocol than http/protobuf, the one that is spoken here",
    ),
    (
        COLLECTOR | {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"},
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
        "asks for another protocol than http/protobuf, the one that is spoken here",
    ),
]


@pytest.mark.parametrize(("env", "name", "reason"), UNUSABLE)
def test_what_cannot_be_used_is_a_warning_since_the_variables_are_the_plugins_too(env, name, reason):
    given = settings(**env)
    assert given.traces is False
    assert given.warnings == (f"{name}: {reason}; there are no traces",)


@pytest.mark.parametrize(("env", "name", "reason"), UNUSABLE)
def test_whoever_insists_on_traces_gets_no_start_without_them(env, name, reason):
    assert problem(**env, SIDECAR_TRACES="1") == f"{name}: {reason}"


LACK = 'needs opentelemetry.sdk, which is not installed here: pip install "biot-sidecar[otel]"'


@pytest.fixture
def without_the_extra(monkeypatch):
    there = extras._is_there
    monkeypatch.setattr(extras, "_is_there", lambda name: name != "opentelemetry.sdk" and there(name))


@pytest.mark.usefixtures("without_the_extra")
def test_without_the_extra_there_is_one_warning_and_no_traces():
    given = settings(**COLLECTOR)
    assert (given.traces, given.warnings) == (False, (f"{ENDPOINT}: {LACK}; there are no traces",))


@pytest.mark.usefixtures("without_the_extra")
def test_without_the_extra_whoever_insists_gets_one_problem():
    assert problem(**COLLECTOR, SIDECAR_TRACES="1") == f"SIDECAR_TRACES: {LACK}"
