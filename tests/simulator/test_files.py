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
    assert (missing.status, missing.body["code"]) == (404, "FILE_ID_NOT_FOUND")
    assert missing.body["details"] == {"ids": ["nothing"]}


PARTS = f"{UPLOAD}/parts"


async def in_parts(desk: Desk, number: int = 3) -> str:
    return str((await desk.ask("POST", PARTS, NOTE | {"parts": number})).body["id"])


def etags(*numbers: int) -> Any:
    return {"parts": [{"partNumber": number, "etag": f"e{number}"} for number in numbers]}


@pytest.mark.parametrize(
    ("method", "path", "body", "code", "details"),
    [
        ("PUT", "", {"parts": []}, "PARTS_MUST_NOT_BE_EMPTY", {}),
        ("PUT", "", etags(1, 1), "MULTIPLE_PART_UPLOAD_REPEATING_PART_NUMBERS", {"repeatingPartNumbers": [1]}),
        ("PUT", "", etags(1, 4), "MULTIPLE_PART_UPLOAD_INVALID_PART_NUMBER", {"invalidPartNumbers": [4]}),
        ("PUT", "", etags(0), "MULTIPLE_PART_UPLOAD_INVALID_PART_NUMBER", {"invalidPartNumbers": [0]}),
        (
            "POST",
            "/complete",
            etags(2, 2),
            "MULTIPLE_PART_UPLOAD_REPEATING_PART_NUMBERS",
            {"repeatingPartNumbers": [2]},
        ),
        ("POST", "/complete", etags(9), "MULTIPLE_PART_UPLOAD_INVALID_PART_NUMBER", {"invalidPartNumbers": [9]}),
        ("POST", "", {"fromPart": 3, "toPart": 2}, "FROM_PART_LARGER_THAN_TO_PART", {"fromPart": 3, "toPart": 2}),
    ],
)
async def test_parts_that_are_none_are_refused(
    desk: Desk, method: str, path: str, body: Any, code: str, details: Any
) -> None:
    refused = await desk.ask(method, f"{PARTS}/{await in_parts(desk)}{path}", body)
    assert (refused.status, refused.body["code"]) == (400, code)
    assert details.items() <= refused.body["details"].items()


@pytest.mark.parametrize("body", [None, {"parts": []}, {"parts": [{"partNumber": 1}]}])
async def test_an_upload_without_etags_cannot_be_completed(desk: Desk, body: Any) -> None:
    identity = await in_parts(desk)
    refused = await desk.ask("POST", f"{PARTS}/{identity}/complete", body)
    assert (refused.status, refused.body["code"]) == (409, "MULTIPLE_PART_UPLOAD_HAS_NO_UPLOADED_ETAGS")
    assert refused.body["details"] == {"id": identity}


async def test_only_the_parts_whose_etags_were_said_become_the_file(desk: Desk) -> None:
    identity = await in_parts(desk)
    file = desk.simulator.files._files[identity]
    file.content = {1: b"one ", 2: b"two ", 3: b"three"}
    assert (await desk.ask("PUT", f"{PARTS}/{identity}", etags(3))).status == 200
    assert (await desk.ask("POST", f"{PARTS}/{identity}/complete", etags(1))).status == 200
    assert file.content == {0: b"one three"}


async def test_what_is_whole_is_no_upload_in_parts(desk: Desk) -> None:
    whole = (await desk.ask("POST", UPLOAD, NOTE)).body["id"]
    done = await in_parts(desk)
    await desk.ask("POST", f"{PARTS}/{done}/complete", etags(1))
    for identity in (whole, done):
        for method, path, body in (
            ("PUT", "", etags(1)),
            ("POST", "", {"fromPart": 1, "toPart": 1}),
            ("POST", "/complete", etags(1)),
            ("DELETE", "/cancel", None),
        ):
            refused = await desk.ask(method, f"{PARTS}/{identity}{path}", body)
            expected = (403, "FILE_IS_NOT_UNCOMPLETED_MULTIPLE_PART_UPLOAD")
            assert (refused.status, refused.body["code"]) == expected
