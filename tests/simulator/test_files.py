"""File metadata and signed URLs, asked through the whole simulator; the bytes are tested in test_app."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.simulator.helpers import Desk

UPLOAD = "/file/v1/files/upload"
NOTE = {"name": "note.txt", "mimeType": "text/plain"}


def key(url: str) -> str:
    return parse_qs(urlsplit(url).query)["X-Amz-Signature"][0]


async def test_an_upload_answers_200_and_a_signed_url_back_to_the_simulator(desk: Desk) -> None:
    created = await desk.ask("POST", UPLOAD, NOTE)
    assert created.status == 200
    assert {**NOTE, "id": created.body["id"]}.items() <= created.body.items()
    assert created.body["signedUrl"].startswith(f"http://sim/_simulator/storage/{created.body['id']}?")


async def test_a_download_answers_the_url_and_does_not_redirect(desk: Desk) -> None:
    identity = (await desk.ask("POST", UPLOAD, NOTE)).body["id"]
    found = await desk.ask("GET", f"/file/v1/files/{identity}/download", query={"contentDisposition": "INLINE"})
    assert (found.status, found.body["name"]) == (200, "note.txt")


async def test_only_the_signature_opens_the_store(desk: Desk) -> None:
    created = (await desk.ask("POST", UPLOAD, NOTE)).body
    files = desk.simulator.files
    assert files.stored(created["id"], key(created["signedUrl"])) is not None
    assert files.stored(created["id"], "guess") is None
    assert files.stored("unknown", key(created["signedUrl"])) is None


async def test_parts_are_numbered_from_one_and_more_urls_can_be_had(desk: Desk) -> None:
    created = await desk.ask("POST", f"{UPLOAD}/parts/", NOTE | {"parts": 3})
    assert (created.status, created.body["parts"]) == (200, 3)
    assert [url["partNumber"] for url in created.body["signedUrls"]] == [1, 2, 3]
    assert created.body["signedUrls"][0]["expirationTime"] == "2025-11-24T17:00:00.000Z"
    more = await desk.ask("POST", f"{UPLOAD}/parts/{created.body['id']}", {"fromPart": 2, "toPart": 3})
    assert [url["partNumber"] for url in more.body["signedUrls"]] == [2, 3]


async def test_etags_are_taken_with_an_empty_200_and_a_cancel_with_204(desk: Desk) -> None:
    identity = (await desk.ask("POST", f"{UPLOAD}/parts", NOTE | {"parts": 1})).body["id"]
    saved = await desk.ask("PUT", f"{UPLOAD}/parts/{identity}", {"parts": [{"partNumber": 1, "etag": "e"}]})
    assert (saved.status, saved.body) == (200, None)
    assert (await desk.ask("PUT", f"{UPLOAD}/parts/{identity}", {})).status == 400
    assert (await desk.ask("DELETE", f"{UPLOAD}/parts/{identity}/cancel")).status == 204
    assert (await desk.ask("POST", f"{UPLOAD}/parts/{identity}/complete")).status == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (UPLOAD, {"name": "x"}),
        (UPLOAD, {"mimeType": "x"}),
        (f"{UPLOAD}/parts", NOTE),
        (f"{UPLOAD}/parts", NOTE | {"parts": 0}),
        (f"{UPLOAD}/parts", NOTE | {"parts": 10_001}),
        (f"{UPLOAD}/parts", NOTE | {"parts": True}),
    ],
)
async def test_an_upload_that_lacks_something_is_refused(desk: Desk, path: str, body: Any) -> None:
    assert (await desk.ask("POST", path, body)).status == 400


async def test_part_urls_outside_of_the_file_are_refused(desk: Desk) -> None:
    identity = (await desk.ask("POST", f"{UPLOAD}/parts", NOTE | {"parts": 2})).body["id"]
    for body in ({"fromPart": 0, "toPart": 1}, {"fromPart": 2, "toPart": 1}, {"fromPart": 1, "toPart": 3}):
        assert (await desk.ask("POST", f"{UPLOAD}/parts/{identity}", body)).status == 400


async def test_an_unknown_file_is_not_found(desk: Desk) -> None:
    missing = await desk.ask("GET", "/file/v1/files/nothing/download")
    assert (missing.status, missing.body["code"]) == (404, "FILE_NOT_FOUND")
