"""Files that settings name."""

from __future__ import annotations

import os

import pytest
from biot_sidecar.settings.ca_file import ca_file_problem
from biot_sidecar.settings.secret import Secret
from biot_sidecar.settings.secret_file import UnreadableSecret, odd_about_secret, read_secret, secret_file_problem

from tests.support.authority import Authority


@pytest.mark.parametrize("content", [b"s3cret", b"s3cret\n", b"s3cret\r\n"])
def test_a_final_newline_is_no_part_of_the_secret(tmp_path, content):
    (tmp_path / "secret").write_bytes(content)
    assert read_secret(str(tmp_path / "secret")) == Secret("s3cret")
    assert secret_file_problem(str(tmp_path / "secret")) == ""


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("s3cret", ""),
        ("it's", ""),
        ('"', ""),
        ('"canary"', "stands in quotes"),
        ("'canary' ", "begins or ends with blanks and stands in quotes"),
        ("\u201ccanary\u201d", "stands in quotes"),
        ("canary\t", "begins or ends with blanks"),
        ("canary\xa0", "begins or ends with blanks"),
        ("canary\ncanary", "holds control characters or several lines"),
        ("cana\0ry", "holds control characters or several lines"),
        ("\ufeff canary", "begins with a byte order mark and begins or ends with blanks"),
    ],
)
def test_what_stands_around_a_secret_is_named_and_nothing_of_it_shown(secret, words):
    odd = odd_about_secret(Secret(secret))
    assert odd == (words and f"the secret {words}, which are sent to BioT as part of it")
    assert "canary" not in odd


def test_other_white_space_is(tmp_path):
    (tmp_path / "secret").write_bytes(b" a \n\n")
    assert read_secret(str(tmp_path / "secret")) == Secret(" a \n")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "it is empty"),
        (b"\n", "it is empty"),
        (b"canary\xff", "it is not UTF-8 text"),
        (b"canary" * 11_000, "it is larger than 64 KiB"),
    ],
)
def test_a_file_without_a_secret_is_refused_and_never_quoted(tmp_path, content, words):
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(UnreadableSecret) as caught:
        read_secret(str(tmp_path / "secret"))
    assert str(caught.value) == words
    assert caught.value.__context__ is None  # where what was read might hang
    assert "canary" not in secret_file_problem(str(tmp_path / "secret"))


@pytest.mark.parametrize(("name", "words"), [("", "Is a directory"), ("none", "No such file or directory")])
def test_what_is_no_file_is_named(tmp_path, name, words):
    path = str(tmp_path / name)
    assert secret_file_problem(path) == f"{path!r} cannot be read: {words}"
    assert ca_file_problem(path)[0] == f"{path!r} cannot be read: {words}"


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    path = str(tmp_path / "pipe")
    assert secret_file_problem(path) == f"{path!r} cannot be read: it is a pipe, and it is read more than once"
    assert ca_file_problem(path)[0] == secret_file_problem(path)


@pytest.mark.parametrize("name", ["/dev/zero", "/dev/null"])
def test_a_device_is_refused_instead_of_read_to_its_end(name):
    assert secret_file_problem(name) == f"{name!r} cannot be read: it is a device, and it is read more than once"
    assert ca_file_problem(name)[0] == secret_file_problem(name)


@pytest.mark.parametrize("given", ["canary", "can/ary+8=", "/canary/x"])
def test_a_secret_in_place_of_its_files_path_is_not_quoted(given):
    assert secret_file_problem(given).startswith("the file that it names (write its path, not the secret) cannot be")
    assert "canary" not in secret_file_problem(given)


def test_a_name_with_a_nul_is_no_file():
    assert "NUL" in secret_file_problem("a\0b")
    assert "NUL" in ca_file_problem("a\0b")[0]


@pytest.mark.parametrize("content", [b"", b"no certificate", b"-----BEGIN PRIVATE KEY-----\nAAAA\n"])
def test_a_ca_file_without_certificates_is_refused(tmp_path, content):
    (tmp_path / "ca.pem").write_bytes(content)
    assert "holds no certificates in PEM form" in ca_file_problem(str(tmp_path / "ca.pem"))[0]


def test_a_ca_file_with_one_is_taken(tmp_path):
    assert ca_file_problem(str(Authority(tmp_path).ca_file)) == ("", "")


@pytest.mark.parametrize(
    "damage",
    [
        lambda pem: pem.replace(b"\nMI", b"\n!!", 1),
        lambda pem: pem[: len(pem) // 2] + b"\n",
        lambda pem: pem.replace(b"-----END CERTIFICATE-----", b"-----END CERTIFICATE----"),
        lambda pem: b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n",
        lambda pem: "-----BEGIN CERTIFICATE-----\n\u201c\n-----END CERTIFICATE-----\n".encode(),
    ],
)
@pytest.mark.parametrize("behind", [False, True])
def test_a_damaged_certificate_beside_a_good_one_is_warned_about(tmp_path, damage, behind):
    file = Authority(tmp_path).ca_file
    good = file.read_bytes()
    file.write_bytes(good + damage(good) if behind else damage(good) + good)
    problem, odd = ca_file_problem(str(file))
    assert problem == ""
    assert odd == f"{str(file)!r}: 1 of 2 certificates are damaged and not trusted"


def test_a_file_of_damaged_certificates_alone_is_refused(tmp_path):
    file = tmp_path / "ca.pem"
    file.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    assert "that are not damaged" in ca_file_problem(str(file))[0]
