"""What is told apart as a secret: by names, by places in texts, by the names of a process's variables."""

from __future__ import annotations

import base64
import json

import pytest

from partitioner.security.recognising import in_environment, secrets_in

BASIC = base64.b64encode(b"me:pa55word").decode()


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("postgresql://me:pa55word@host/db", "pa55word"),
        ("postgresql://me@host/db?sslmode=require&sslpassword=pa55word", "pa55word"),
        ("host=db user=me password=pa55word", "pa55word"),
        ("host=db password='pa55word'", "pa55word"),
        ("Driver=x;Server=db;Uid=me;Pwd=pa55word;", "pa55word"),
        ("DefaultEndpointsProtocol=https;AccountName=a;AccountKey=pa55word==;EndpointSuffix=x", "pa55word=="),
        ("https://b.s3.amazonaws.com/k?X-Amz-Expires=60&X-Amz-Signature=pa55word&z=1", "pa55word"),
        ("https://a.blob.core.windows.net/c?sv=2024&sig=pa55word", "pa55word"),
        ("Bearer pa55word", "pa55word"),
        (f"Basic {BASIC}", "pa55word"),
        ("Authorization: Bearer pa55word", "pa55word"),
        ("curl -H 'X-Api-Key: pa55word' https://host/x", "pa55word"),
        (f"x\nauthorization: basic {BASIC}\ny", "pa55word"),
        (json.dumps({"type": "service_account", "private_key": "pa55word"}), "pa55word"),
    ],
)
def test_a_text_tells_its_secret_by_its_place(text: str, secret: str) -> None:
    assert secret in secrets_in({"anything": text})


@pytest.mark.parametrize(
    "text",
    [
        "basic statistics",
        "Basic dGV4dA==",
        "a=b;c=d",
        "x?tokens=1",
        "token=1234567",
        "token=${MY_TOKEN}",
        "{no json",
        "the token: whatever the program gets",
        "Password: Required",
        "token: ${MY_TOKEN}",
        "secret:/run/secrets/x",
        "{}",
    ],
)
def test_other_texts_hold_none(text: str) -> None:
    assert secrets_in({"anything": text}) == []


def test_a_header_is_masked_as_a_whole_and_in_its_parts() -> None:
    header = f"Basic {BASIC}"
    assert secrets_in({"Authorization": header}) == [BASIC, "pa55word", header]


def test_each_long_line_of_a_key_is_a_secret_by_itself() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nshort\n-----END PRIVATE KEY-----"
    assert secrets_in({"private_key": key}) == [key, "MIIEvQIBADANBgkqhkiG9w0B"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HF_TOKEN", "hf_AbCdEf12"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI"),
        ("PGPASSWORD", "s3cret-of-db"),
        ("PARTITIONER_KEY", "the key of the suite"),
    ],
)
def test_variables_whose_names_say_so_are_secrets(name: str, value: str) -> None:
    assert in_environment({name: value}) == [value]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PWD", "/home/me"),
        ("OLDPWD", "/home/me/x"),
        ("SSH_AUTH_SOCK", "/run/x.sock"),
        ("MYSQL_PASSWORD", "postgres"),  # a word of small letters: masked, it would make texts unreadable
        ("API_TOKEN", "1234567890"),
        ("TOKEN", "aB3"),
        ("HOME_PAGE", "wJalrXUtnFEMI"),
        ("DATABASE_URL", "postgresql://postgres:postgres@db/x"),
    ],
)
def test_other_variables_are_none(name: str, value: str) -> None:
    assert in_environment({name: value}) == []


def test_the_password_of_a_url_in_any_variable_is_a_secret() -> None:
    assert in_environment({"DATABASE_URL": "postgresql://me:pa55word@db/x"}) == ["pa55word"]
