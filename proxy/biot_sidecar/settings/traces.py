"""Whether requests are traced: as OTEL_EXPORTER_OTLP_ENDPOINT and its kin say (OpenTelemetry specification, SDK
environment variables), unless SIDECAR_TRACES says no.

The variables are shared with the plugin: one that cannot be used here must not stop a start, unless SIDECAR_TRACES=1.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from biot_sidecar.extras import lack_of
from biot_sidecar.settings.names import OTLP_ENDPOINT, TRACES
from biot_sidecar.settings.reader import Reader

EXTRA: Final = "otel"
_TRACES_ENDPOINT: Final = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_SPOKEN: Final = "http/protobuf"


def wants_traces(reader: Reader) -> bool:
    """True when requests are to be traced and can be; problems and warnings are the reader's."""
    asked: bool | None = reader.value(TRACES)
    if asked is False or not (asked or _endpoint(reader)[1]) or _switched_off(reader):
        return False
    name, reason = _why_not(reader)
    if not reason:
        return True
    if not asked:
        reader.warn(name, f"{reason}; there are no traces")
    elif name != TRACES:  # what is not installed the reader has told of
        reader.problem(name, reason)
    return False


def _endpoint(reader: Reader) -> tuple[str, str]:
    """The variable that names the collector, and what it says."""
    said = ((name, reader.env.get(name, "").strip()) for name in (_TRACES_ENDPOINT, OTLP_ENDPOINT))
    return next(((name, text) for name, text in said if text), (OTLP_ENDPOINT, ""))


def _switched_off(reader: Reader) -> bool:
    exporters = reader.env.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    return reader.env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or exporters == "none"


def _why_not(reader: Reader) -> tuple[str, str]:
    """The variable that asks for what cannot be had, and why; no reason: it can."""
    name, text = _endpoint(reader)
    if text and not _is_url(text):
        return name, "is no address of a collector, such as http://localhost:4318"
    for protocol in _PROTOCOLS:
        if spoken := reader.env.get(protocol, "").strip():
            if spoken != _SPOKEN:
                return protocol, f"asks for another protocol than {_SPOKEN}, the one that is spoken here"
            break
    if lack := lack_of(EXTRA):
        return (TRACES if reader.value(TRACES) else name), lack
    return name, ""


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False
