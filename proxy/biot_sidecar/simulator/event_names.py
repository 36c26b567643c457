"""What an event of BioT's is about, in a few words for a log line: names alone, never a value."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

NOTIFICATION: Final = "NOTIFICATION"
_NAME: Final = re.compile(r"[\w./{}-]{1,200}", re.ASCII)


def event_name(hook_type: str, body: Any) -> str:
    """`NOTIFICATION patient._update`, `INTERCEPTOR_PRE PATCH/organization/...`; empty for what BioT does not send."""
    if not isinstance(body, Mapping) or not _NAME.fullmatch(hook_type):
        return ""
    if hook_type == NOTIFICATION:
        metadata = body.get("metadata")
        told = metadata if isinstance(metadata, Mapping) else {}
        about = f"{told.get('entityTypeName')}.{told.get('actionName')}"
    else:
        about = str(body.get("apiId") or body.get("entityName"))
    return f"{hook_type} {about}" if _NAME.fullmatch(about) else hook_type


def event_name_of(hook_type: str, body: bytes) -> str:
    """The same for a body as it came."""
    try:
        return event_name(hook_type, json.loads(body)) if hook_type else ""
    except ValueError:
        return ""
