"""Folders and buckets hold the same files by the same names, and errors are one line."""

import base64
import hashlib
import os
import re
import sys

import pytest
from buckets import BOTH, NAMES, body

from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import connect, digests, filesystem

# ── files ───────────────────────────────────────────────────────────────────────────────────


def test_folders_and_buckets_behave_the_same(where, tmp_path):
    assert not where.exists() and where.size("a") is None and where.sizes()("a") is None
    for name in [*NAMES, ".hidden", "c/.hidden", ".h/a"]:
        where.write(name, name.encode())
    assert where.exists() and list(where.names()) == sorted(NAMES)
    sizes = where.sizes()
    for name in NAMES:
        assert where.read(name) == name.encode() == filesystem.read_file(f"{where}/{name}")
        assert where.size(name) == sizes(name) == len(name.encode())
    assert where.size("a") is None and where.size("none") is None  # a folder is no file
    with pytest.raises(FileNotFoundError):
        where.read("none")
    where.write("a/b", b"one\ntwo\n")
    with where.open("a/b") as file:
        assert list(file) == [b"one\n", b"two\n"]
    (tmp_path / "file").write_bytes(b"from the disk")
    where.put("copies/ü", tmp_path / "file")
    assert where.read("copies/ü") == b"from the disk"
    where.remove("copies/ü")
    assert where.size("copies/ü") is None and list(where.names()) == sorted(NAMES)
    where.write("empty", b"")
    assert where.size("empty") == 0 and where.read("empty") == b""


def test_what_others_write_is_seen_at_once(s3, bucket):
    where = filesystem.open_store(f"{bucket}/folder")
    assert not where.exists() and list(where.names()) == []
    s3.put_object(Bucket=bucket[5:], Key="folder/new", Body=b"1")
    assert where.exists() and list(where.names()) == ["new"] and where.size("new") == 1
    s3.put_object(Bucket=bucket[5:], Key="folder/new", Body=b"22")
    assert where.size("new") == 2 and where.sizes()("new") == 2


@pytest.mark.parametrize("where", ["memory", "s3", "gs"], indirect=True)
def test_a_file_of_the_disk_is_told_from_any_other_object(where, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"abc" * 100)
    for data, same in [(b"abc" * 100, True), (b"abd" * 100, False), (b"abc" * 99, False), (b"abc" * 101, False)]:
        where.write("object", data)
        assert where.has_content_of("object", file) is same
    digest = hashlib.md5(b"abc" * 100, usedforsecurity=False)
    assert digests.possible_etags(file) >= {digest.hexdigest(), base64.b64encode(digest.digest()).decode()}


@BOTH
def test_a_name_that_nothing_has_is_taken_once(bucket):
    where = filesystem.open_store(f"{bucket}/folder")
    assert where.write_if("new", b"1", None) and where.write_if("new", b"2", None) is None
    assert where.read("new") == b"1"


def test_what_is_wrong_with_googles_storage_is_told_in_one_line(gs):
    missing = filesystem.open_store("gs://no-such-bucket/folder")
    for act in (lambda: list(missing.names()), missing.sizes, lambda: missing.write("a", b"")):
        with pytest.raises(
            UserError,
            match=r"^gs://no-such-bucket/folder: The specified bucket does not exist: create",
        ):
            act()


def test_what_is_wrong_with_a_bucket_is_told_in_one_line(s3, bucket, monkeypatch, tmp_path):
    missing = filesystem.open_store("s3://no-such-bucket/folder")
    for act in (lambda: list(missing.names()), missing.sizes, lambda: missing.write("a", b"")):
        with pytest.raises(UserError, match=r"s3://no-such-bucket/folder: .*does not exist: create the bucket, or"):
            act()
    for address, message in [("ftq://a/b", "ftq:// is no object store"), ("s3://", "names no bucket"),
                             ("file:///tmp/x", "or a path of this machine")]:  # fmt: skip
        with pytest.raises(UserError, match=message):
            filesystem.open_store(address)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "obstore.store", None)
        connect.connect.cache_clear()
        for address, extra in [("s3://a/b", "s3"), ("gs://a/b", "gcs"), ("gcs://a/b", "gcs")]:
            with pytest.raises(UserError, match=rf"{address} needs a package .*: pip install -e '.\[{extra}\]'"):
                filesystem.open_store(address)
    connect.connect.cache_clear()


def error_line(address):
    """The one line that tells why a bucket cannot be listed."""
    connect.connect.cache_clear()
    with pytest.raises(UserError) as error:
        list(filesystem.open_store(address).names())
    connect.connect.cache_clear()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "error sending request.*check the network and the address"),
        ({"AWS_ACCESS_KEY_ID": ""}, "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or"),
        ({"AWS_PROFILE": "nobody"}, r"profile \(nobody\) could not be found: set AWS_ACCESS_KEY_ID and"),
    ],
)
def test_access_to_s3_that_fails_is_told_in_one_line(bucket, monkeypatch, variables, message):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert re.search(message, error_line(f"{bucket}/folder"))


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (401, "", "run 'gcloud auth application-default login'"),
        (403, "<Error><Code>AccessDenied</Code><Message>Access denied.</Message></Error>",
         "/folder: Access denied: these credentials do not permit it; use others, or have them permitted"),
    ],
)  # fmt: skip
def test_access_to_googles_storage_that_is_refused_is_told_in_one_line(gs, monkeypatch, status, body, message):
    monkeypatch.setattr(gs.RequestHandlerClass, "list", lambda self, *_: self.answer(status, body.encode()))
    gs.buckets["mine"] = {}
    assert message in error_line("gs://mine/folder")


def test_missing_credentials_of_google_say_how_to_log_in(monkeypatch, tmp_path):
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    assert "none.json was not found: run 'gcloud auth application-default login'" in error_line("gs://mine/folder")


def test_a_profile_of_aws_names_keys_region_and_endpoint(s3, bucket, monkeypatch, tmp_path):
    """What `aws configure` leaves behind is used where the environment says nothing."""
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    (tmp_path / "config").write_text(f"[profile mine]\nregion = eu-west-1\nendpoint_url = {endpoint}\n")
    (tmp_path / "credentials").write_text("[mine]\naws_access_key_id = me\naws_secret_access_key = mine\n")
    for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "mine")
    connect.connect.cache_clear()
    filesystem.open_store(f"{bucket}/folder").write("a", b"1")
    connect.connect.cache_clear()
    assert body(s3, f"{bucket}/folder", "a") == b"1"


def test_a_key_that_no_file_can_have_is_named(s3, bucket):
    for key in ("../up", "a//b", "sub/./x"):
        s3.put_object(Bucket=bucket[5:], Key=f"odd/{key}", Body=b"1")
        assert f"{bucket}/odd holds '{key}', which cannot be a file" in error_line(f"{bucket}/odd")
        s3.delete_object(Bucket=bucket[5:], Key=f"odd/{key}")


def test_folders_that_consoles_make_are_no_files(s3, bucket):
    for key in ("folder/", "folder/a/", "folder/a/b", "folder/lonely/", "folder/empty"):
        s3.put_object(Bucket=bucket[5:], Key=key, Body=b"")
    assert list(filesystem.open_store(f"{bucket}/folder").names()) == ["a/b", "empty"]
