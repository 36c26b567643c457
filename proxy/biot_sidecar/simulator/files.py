"""File metadata and a store for the bytes: signed URLs lead back to the simulator instead of S3."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from biot_sidecar.simulator.facts import facts_of, refusal
from biot_sidecar.simulator.refusals import refuse
from biot_sidecar.simulator.values import Answer, BiotError, Call, Json, timestamp

STORAGE = "/_simulator/storage"
_URL_LIFE = 3600.0  # seconds; only shown, never enforced


@dataclass
class File:
    """One file: what BioT answers of it, the key its signed URLs carry, and its content by part number (0: whole).

    `parts` is how many it is uploaded in, 0 for one that is whole or was completed; `etags` are those that the client
    has said, by part number: only these parts become the file.
    """

    shown: Json
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    parts: int = 0
    content: dict[int, bytes] = field(default_factory=dict)
    etags: dict[int, str | None] = field(default_factory=dict)


class Files:
    """Upload, download, and upload in parts. Bodies have met the table of facts already."""

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
        file = self._add(body)
        file.parts = body["parts"]
        return Answer(200, _with_urls(call, file, 1, file.parts))

    def more_urls(self, call: Call) -> Answer:
        """`POST /file/v1/files/upload/parts/{id}`: new URLs from `fromPart` to `toPart`."""
        file, body = self._uncompleted(call), call.document()
        first, last = body["fromPart"], body["toPart"]
        if first > last:
            details = {"fromPart": first, "toPart": last}
            message = "The first part comes after the last"
            raise refusal(facts_of(call.api_id), "FROM_PART_LARGER_THAN_TO_PART", message, **details)
        if last > file.parts:
            raise BiotError(400, "BAD_REQUEST", f"The file has {file.parts} parts")
        return Answer(200, _with_urls(call, file, first, last))

    def save_etags(self, call: Call) -> Answer:
        """`PUT /file/v1/files/upload/parts/{id}`: an empty 200."""
        file, parts = self._uncompleted(call), call.document()["parts"]
        if not parts:
            refuse(
                call, refusal(facts_of(call.api_id), "PARTS_MUST_NOT_BE_EMPTY", "At least one part is needed"), "parts"
            )
        self._save(file, parts, call)
        return Answer(200)

    def complete(self, call: Call) -> Answer:
        """`POST /file/v1/files/upload/parts/{id}/complete`: the parts whose ETags were said become the file."""
        file = self._uncompleted(call)
        if call.body is not None:
            self._save(file, call.document()["parts"], call)
        if not any(file.etags.values()):
            message = "No part has been uploaded"
            details = {"id": call.variables["id"]}
            code = "MULTIPLE_PART_UPLOAD_HAS_NO_UPLOADED_ETAGS"
            refuse(call, refusal(facts_of(call.api_id), code, message, **details), "parts")
            file.etags = dict.fromkeys(file.content, "taken")
        said = [number for number in sorted(file.content) if file.etags.get(number)]
        file.content = {0: b"".join(file.content[number] for number in said)}
        file.parts = 0
        return self.download(call)

    def cancel(self, call: Call) -> Answer:
        """`DELETE /file/v1/files/upload/parts/{id}/cancel`."""
        self._uncompleted(call)
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
        file = File({"id": identity, "name": body["name"], "mimeType": body["mimeType"]})
        self._files[identity] = file
        return file

    def _get(self, call: Call) -> File:
        identity = call.variables["id"]
        if identity not in self._files:
            message = f"File with id [{identity}] not found"
            raise refusal(facts_of(call.api_id), "FILE_ID_NOT_FOUND", message, ids=[identity])
        return self._files[identity]

    def _uncompleted(self, call: Call) -> File:
        file = self._get(call)
        if not file.parts:
            details = {"id": call.variables["id"]}
            message = "This is no upload in parts that waits to be completed"
            raise refusal(facts_of(call.api_id), "FILE_IS_NOT_UNCOMPLETED_MULTIPLE_PART_UPLOAD", message, **details)
        return file

    def _save(self, file: File, parts: list[Json], call: Call) -> None:
        facts, numbers = facts_of(call.api_id), [part["partNumber"] for part in parts]
        repeated = sorted({number for number in numbers if numbers.count(number) > 1})
        if repeated:
            details: Json = {"repeatingPartNumbers": repeated}
            message = "A part is named twice"
            raise refusal(facts, "MULTIPLE_PART_UPLOAD_REPEATING_PART_NUMBERS", message, **details)
        invalid = [number for number in numbers if not 1 <= number <= file.parts]
        if invalid:
            details = {"invalidPartNumbers": invalid, "id": call.variables["id"]}
            raise refusal(facts, "MULTIPLE_PART_UPLOAD_INVALID_PART_NUMBER", "There is no such part", **details)
        file.etags |= {part["partNumber"]: part.get("etag") for part in parts}


def _signed(call: Call, file: File, part: int = 0) -> str:
    return f"{call.base_url}{STORAGE}/{file.shown['id']}?partNumber={part}&X-Amz-Signature={file.key}"


def _with_urls(call: Call, file: File, first: int, last: int) -> Json:
    expires = timestamp(call.now + _URL_LIFE)
    urls = [
        {"signedUrl": _signed(call, file, part), "partNumber": part, "expirationTime": expires}
        for part in range(first, last + 1)
    ]
    return file.shown | {"parts": file.parts, "signedUrls": urls}
