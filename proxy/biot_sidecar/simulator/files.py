"""File metadata and a store for the bytes: signed URLs lead back to the simulator instead of S3."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from biot_sidecar.simulator.values import Answer, BiotError, Call, Json, mandatory, timestamp

STORAGE = "/_simulator/storage"
_URL_LIFE = 3600.0  # seconds; only shown, never enforced


@dataclass
class File:
    """One file: what BioT answers of it, the key its signed URLs carry, and its content by part number (0: whole)."""

    shown: Json
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    parts: int = 0
    content: dict[int, bytes] = field(default_factory=dict)


class Files:
    """Upload, download, and upload in parts."""

    def __init__(self) -> None:
        self._files: dict[str, File] = {}

    def upload(self, call: Call) -> Answer:
        """`POST /file/v1/files/upload`."""
        file = self._add(call.document())
        return Answer(200, file.shown | {"signedUrl": _signed(call, file)})

    def download(self, call: Call) -> Answer:
        """`GET /file/v1/files/{id}/download`: 200 with the URL, no redirect."""
        file = self._get(call)
        return Answer(200, file.shown | {"signedUrl": _signed(call, file)})

    def upload_parts(self, call: Call) -> Answer:
        """`POST /file/v1/files/upload/parts`: a signed URL for each part."""
        body = call.document()
        parts = _whole(body, "parts", 1, 10_000)
        file = self._add(body)
        file.parts = parts
        return Answer(200, _with_urls(call, file, 1, parts))

    def more_urls(self, call: Call) -> Answer:
        """`POST /file/v1/files/upload/parts/{id}`: new URLs from `fromPart` to `toPart`."""
        file = self._get(call)
        body = call.document()
        first = _whole(body, "fromPart", 1, max(file.parts, 1))
        return Answer(200, _with_urls(call, file, first, _whole(body, "toPart", first, max(file.parts, 1))))

    def save_etags(self, call: Call) -> Answer:
        """`PUT /file/v1/files/upload/parts/{id}`: an empty 200."""
        self._get(call)
        if not isinstance(call.document().get("parts"), list):
            raise BiotError(400, "BAD_REQUEST", "[parts] must be a list of part numbers and ETags")
        return Answer(200)

    def complete(self, call: Call) -> Answer:
        """`POST /file/v1/files/upload/parts/{id}/complete`: the parts become the file."""
        file = self._get(call)
        file.content = {0: b"".join(file.content[number] for number in sorted(file.content))}
        return self.download(call)

    def cancel(self, call: Call) -> Answer:
        """`DELETE /file/v1/files/upload/parts/{id}/cancel`."""
        self._get(call)
        del self._files[call.variables["id"]]
        return Answer(204)

    def keep(self, name: str, mime_type: str, content: bytes, call: Call) -> str:
        """Keep a file of the simulator's own; returns its signed URL."""
        file = self._add({"name": name, "mimeType": mime_type})
        file.content[0] = content
        return _signed(call, file)

    def stored(self, identity: str, key: str) -> File | None:
        """The file behind a signed URL, or None if the URL is not one of ours."""
        file = self._files.get(identity)
        return file if file and file.key == key else None

    def _add(self, body: Json) -> File:
        identity = str(uuid.uuid4())
        file = File({"id": identity, "name": mandatory(body, "name"), "mimeType": mandatory(body, "mimeType")})
        self._files[identity] = file
        return file

    def _get(self, call: Call) -> File:
        identity = call.variables["id"]
        if identity not in self._files:
            raise BiotError(404, "FILE_NOT_FOUND", f"File with id [{identity}] not found", {"id": identity})
        return self._files[identity]


def _signed(call: Call, file: File, part: int = 0) -> str:
    return f"{call.base_url}{STORAGE}/{file.shown['id']}?partNumber={part}&X-Amz-Signature={file.key}"


def _with_urls(call: Call, file: File, first: int, last: int) -> Json:
    expires = timestamp(call.now + _URL_LIFE)
    urls = [
        {"signedUrl": _signed(call, file, part), "partNumber": part, "expirationTime": expires}
        for part in range(first, last + 1)
    ]
    return file.shown | {"parts": file.parts, "signedUrls": urls}


def _whole(body: Json, name: str, least: int, most: int) -> int:
    value = body.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise BiotError(400, "BAD_REQUEST", f"[{name}] must be a whole number from {least} to {most}")
    return value
