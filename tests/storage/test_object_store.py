"""Folders and buckets: the same files by the same names, journals that survive, copies that resume.

S3 is moto's, Google's storage an emulator's.
"""

import base64
import collections
import contextlib
import hashlib
import http
import json
import logging
import os
import signal
import socket
import subprocess
import time

import boto3
import fsspec
import gcsfs
import pytest
import s3fs
from conftest import ROOT, command, environment
from file_server import QUICK, after, listing, picture, server  # noqa: F401 - a fixture
from gcp_storage_emulator.exceptions import NotFound
from gcp_storage_emulator.handlers import objects
from gcp_storage_emulator.server import create_server
from moto.server import ThreadedMotoServer

from data_prep import journal, upload
from data_prep.download_images import download
from data_prep.journal import Journal
from data_prep.web import file_names
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import filesystem, object_store

NAMES = ["a.b", "a/b", "a-b/c", "b", "логотип 1.png", "社章/ロゴ.png", "odd ?*[x]&+%41.txt", "👩‍🚀.svg", "z" * 200]


@pytest.fixture(scope="module")
def s3():
    """A client of an S3 that listens on loopback, which everything in this module uses."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    found = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    found.start()
    host, port = found.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"ENDPOINT_URL": f"http://{host}:{port}", "ACCESS_KEY_ID": "me", "SECRET_ACCESS_KEY": "mine",
                            "DEFAULT_REGION": "us-east-1", "EC2_METADATA_DISABLED": "true", "MAX_ATTEMPTS": "1",
                            "CONFIG_FILE": os.devnull, "SHARED_CREDENTIALS_FILE": os.devnull}.items():  # fmt: skip
            patch.setenv(f"AWS_{name}", value)
        s3fs.S3FileSystem.clear_instance_cache()
        yield boto3.client("s3")
        s3fs.S3FileSystem.clear_instance_cache()
    found.stop()


@pytest.fixture(scope="module")
def gs():
    """Google's storage that listens on loopback, which everything in this module uses."""

    def only_if_new(request, response, storage):
        """The emulator knows no condition."""
        if "ifGenerationMatch" in request.query:
            with contextlib.suppress(NotFound):
                storage.get_file_obj(request.params["bucket_name"], request.data["meta"]["name"])
                response.status = http.HTTPStatus.PRECONDITION_FAILED
                return
        upload(request, response, storage)

    upload, free = objects._multipart_upload, socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(objects, "_multipart_upload", only_if_new)
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
        found = create_server("127.0.0.1", port, in_memory=True)
        found.start()
        gcsfs.GCSFileSystem.clear_instance_cache()
        yield
        gcsfs.GCSFileSystem.clear_instance_cache()
        found.stop()


def new(kind, request):
    """The address of a new bucket."""
    request.getfixturevalue(kind)
    name = f"test-{hashlib.sha256(request.node.name.encode()).hexdigest()[:16]}"
    fsspec.filesystem(kind).mkdir(name)
    return f"{kind}://{name}"


@pytest.fixture
def bucket(request):
    """The address of a new bucket, in S3 unless a test asks for another kind."""
    return new(getattr(request, "param", "s3"), request)


BOTH = pytest.mark.parametrize("bucket", ["s3", "gs"], indirect=True)


@pytest.fixture(params=["folder", "memory", "s3", "gs"])
def where(request, tmp_path):
    """A place for files that is not there yet, of each kind."""
    if request.param == "folder":
        return filesystem.open_store(tmp_path / "new" / "folder")
    if request.param == "memory":
        return filesystem.open_store(f"memory://{request.node.name}/folder")
    return filesystem.open_store(f"{new(request.param, request)}/folder")


def keys(s3, address):
    """{name: object} of what S3 has below an address."""
    name, _, prefix = address.removeprefix("s3://").partition("/")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=name, Prefix=prefix)
    return {entry["Key"].removeprefix(f"{prefix}/"): entry for page in pages for entry in page.get("Contents", ())}


def body(s3, address, name):
    """The bytes of an object."""
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    return s3.get_object(Bucket=bucket, Key=f"{prefix}/{name}")["Body"].read()


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
        assert where.same("object", file) is same
    digest = hashlib.md5(b"abc" * 100, usedforsecurity=False)
    assert object_store._digests(file) >= {digest.hexdigest(), base64.b64encode(digest.digest()).decode()}


@BOTH
def test_a_name_that_nothing_has_is_taken_once(bucket):
    where = filesystem.open_store(f"{bucket}/folder")
    assert where.create("new", b"1") and not where.create("new", b"2")
    assert where.read("new") == b"1"


def test_what_is_wrong_with_googles_storage_is_told_in_one_line(gs):
    missing = filesystem.open_store("gs://no-such-bucket/folder")
    for act in (lambda: list(missing.names()), missing.sizes, lambda: missing.write("a", b"")):
        with pytest.raises(UserError, match=r"^gs://no-such-bucket/folder: \S+: create the bucket, or correct"):
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
        patch.setattr(fsspec.core, "url_to_fs", lambda *_, **__: (_ for _ in ()).throw(ImportError()))
        with pytest.raises(UserError, match=r"pip install -e '.\[s3\]'"):
            filesystem.open_store("s3://a/b")
    for name, value, message in [
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", "Could not connect .*check the network and the address"),
        ("AWS_ACCESS_KEY_ID", "", "redentials.*: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
    ]:
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            s3fs.S3FileSystem.clear_instance_cache()
            with pytest.raises(UserError, match=message) as error:
                filesystem.open_store(f"{bucket}/folder").exists() or list(
                    filesystem.open_store(f"{bucket}/folder").names()
                )
            assert "\n" not in str(error.value)
    s3fs.S3FileSystem.clear_instance_cache()


# ── journals ────────────────────────────────────────────────────────────────────────────────


def test_a_journal_goes_on_after_the_lines_that_earlier_runs_left(where):
    first, second = [{"name": "логотип\n", "n": 1}, {"name": "\udc80", "n": 2}], [{"n": 3}]
    with Journal(where, "did.jsonl") as did:
        assert did.lines == []
        for line in first:
            did.write(line)
        assert did.lines == []  # its own are not earlier ones
    with Journal(where, "did.jsonl") as did:
        assert did.lines == list(did) == first
        did.write(second[0])
        assert did.lines == first
    assert Journal(where, "did.jsonl").lines == first + second
    assert [json.loads(line) for line in where.read("did.jsonl").splitlines()] == first + second


def test_a_journal_that_a_crash_cut_short_loses_its_last_line_alone(where):
    where.write("did.jsonl", b'{"n": 1}\n{"n": 2}\n{"n": 3, "name": "cut sh')
    with Journal(where, "did.jsonl") as did:
        assert did.lines == [{"n": 1}, {"n": 2}]
        did.write({"n": 4})
    assert Journal(where, "did.jsonl").lines == [{"n": 1}, {"n": 2}, {"n": 4}]
    where.write("did.jsonl", b'{"n": 1')
    assert Journal(where, "did.jsonl").lines == []


def test_a_journal_drops_what_is_not_kept(where):
    where.write("did.jsonl", b"".join(b'{"n": %d}\n' % n for n in range(6)))
    asked = []
    with Journal(where, "did.jsonl", keep=lambda line: asked.append(line["n"]) or line["n"] % 2) as did:
        assert did.lines == [{"n": 1}, {"n": 3}, {"n": 5}] and asked == list(range(6))
        did.write({"n": 7})
    assert Journal(where, "did.jsonl").lines == [{"n": 1}, {"n": 3}, {"n": 5}, {"n": 7}]


def test_a_journal_that_is_none_is_refused_by_its_line(where):
    where.write("did.jsonl", b'{"n": 1}\nlogo\n{"n": 3}\n')
    with pytest.raises(UserError, match=r"did.jsonl, line 2: this is not JSON"):
        list(Journal(where, "did.jsonl"))


def test_lines_are_on_the_disk_at_once_and_in_a_bucket_soon(where, monkeypatch):
    monkeypatch.setattr(journal, "MIN_INTERVAL", 0.0)
    monkeypatch.setattr(journal, "COPYING_SHARE", 1e9)
    with Journal(where, "did.jsonl") as did:
        assert where.read("did.jsonl") == b""  # a place that cannot be written is known from the start
        for n in range(3):
            did.write({"n": n})
            assert len(where.read("did.jsonl").splitlines()) == n + 1


def test_copies_to_a_bucket_take_a_small_part_of_the_time(monkeypatch):
    where, copies = filesystem.open_store("memory://slow/folder"), []
    monkeypatch.setattr(where, "write", lambda name, data: copies.append(data) or time.sleep(0.02))
    monkeypatch.setattr(journal, "MIN_INTERVAL", 0.0)
    with Journal(where, "did.jsonl") as did:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            did.write({"n": 1})
            time.sleep(0.001)
    assert 1 < len(copies) <= 4  # when it begins, when it ends, and every 0.4 s between


# ── downloads into a bucket ─────────────────────────────────────────────────────────────────


def test_a_download_into_a_bucket_leaves_what_one_into_a_folder_leaves(tmp_path, server, bucket):  # noqa: F811
    names = [*NAMES, "логотип 1.png"]
    rows = [{"name": name, "link": server.link(f"/{i}", picture(i))} for i, name in enumerate(names)]
    rows.append(server.link("/page", b"<html>"))
    path = listing(tmp_path, rows)
    places = [tmp_path / "raw", f"{bucket}/raw"]
    totals = [download(path, place, trusted=[server.place], policy=QUICK) for place in places]
    here, there = map(filesystem.open_store, places)
    assert totals[0].replace(str(here), "") == totals[1].replace(str(there), "") and "10 images downl" in totals[0]
    assert list(here.names()) == list(there.names()) and len(list(here.names())) == 12
    for name in here.names():
        same = lambda data: sorted(json.loads(line).get("path", "") for line in data.splitlines())
        digest = same if name.endswith(".jsonl") else bytes
        assert digest(here.read(name)) == digest(there.read(name))
    server.asked.clear()
    again = download(path, places[1], trusted=[server.place], policy=QUICK)
    assert not server.asked and "0 images downloaded" in again and "10 done before, 1 rejected" in again


def run(module, *arguments):
    return subprocess.Popen(
        command(f"data_prep.{module}", *arguments), env=environment(), cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def end_when(process, condition, how, status):
    """End a process when something is so -> what it said on stderr."""
    end = time.monotonic() + 60
    while not condition():
        assert process.poll() is None and time.monotonic() < end, process.communicate()
        time.sleep(0.02)
    process.send_signal(how)
    said = process.communicate(timeout=60)[1]
    time.sleep(0.2)  # what it had sent may still arrive
    assert process.returncode == status, said
    return said


@pytest.mark.slow
@pytest.mark.parametrize(("how", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_a_download_into_a_bucket_that_was_ended_goes_on(tmp_path, server, s3, bucket, how, status):  # noqa: F811
    rows = [{"name": f"лого {i}", "link": server.link(f"/{i}", after(0.1, picture(i)))} for i in range(120)]
    path, target = listing(tmp_path, rows), f"{bucket}/raw"
    process = run("download_images", "-f", path, "--target_path", target, "--trusted", server.place)
    done = lambda: body(s3, target, "manifest.jsonl").count(b"\n") if "manifest.jsonl" in keys(s3, target) else 0
    said = end_when(process, lambda: done() >= 15, how, status)
    assert "Traceback" not in said
    before = done()
    assert 15 <= before < 120
    totals = download(path, target, trusted=[server.place], policy=QUICK)
    assert f" {before} done before, 0 rejected" in totals
    found = keys(s3, target)
    expected = {file_names.file_name(row["name"], row["link"], ".png"): picture(i) for i, row in enumerate(rows)}
    assert found.keys() == {*expected, "manifest.jsonl", "rejects.jsonl"}
    assert all(body(s3, target, name) == data for name, data in expected.items())
    assert done() == 120 and max(collections.Counter(server.asked).values()) <= 2


# ── upload ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def shards_folder(tmp_path):
    """A folder of files with names of any kind."""
    folder = filesystem.open_store(tmp_path / "mine")
    for name in [*NAMES, ".hidden", "sub/.hidden"]:
        folder.write(name, name.encode() * 50)
    folder.write("empty", b"")
    return folder


def test_an_upload_copies_a_folder_once(s3, bucket, shards_folder, monkeypatch):
    target = f"{bucket}/deep/shards"
    said = upload.upload(shards_folder.where, target)
    assert said.startswith(f"{len(NAMES) + 1} files uploaded to {target} (0.0 MB).")
    assert keys(s3, target).keys() == {*NAMES, "empty"}
    assert all(body(s3, target, name) == name.encode() * 50 for name in NAMES)
    written = {name: entry["LastModified"] for name, entry in keys(s3, target).items()}
    shards_folder.write("new", b"1")
    monkeypatch.setattr(s3fs.S3FileSystem, "open", None)  # what S3 tells of an object is enough: none is read again
    assert upload.upload(shards_folder.where, target) == (
        f"1 files uploaded to {target} (0.0 MB), {len(NAMES) + 1} there before."
    )
    now = {name: entry["LastModified"] for name, entry in keys(s3, target).items()}
    assert written.items() < now.items() and len(now) == len(written) + 1


def test_other_bytes_are_not_overwritten_unless_asked(s3, bucket, shards_folder):
    target = f"{bucket}/shards"
    name = NAMES[4]
    s3.put_object(Bucket=bucket[5:], Key=f"shards/{name}", Body=name.encode()[::-1] * 50)  # of the same size
    with pytest.raises(UserError, match=rf"1 objects in {target} have other bytes .*'{name}' among them; nothing was"):
        upload.upload(shards_folder.where, target)
    assert keys(s3, target).keys() == {name} and body(s3, target, name) == name.encode()[::-1] * 50
    said = upload.upload(shards_folder.where, target, replace=True)
    assert f"{len(NAMES) + 1} files uploaded to {target}, 1 of them replaced" in said
    assert body(s3, target, name) == name.encode() * 50


def test_a_large_file_goes_in_parts_and_is_known_again_however_it_came(s3, bucket, tmp_path):
    folder, size = filesystem.open_store(tmp_path / "large"), 2 * object_store.PART + 12345
    pattern = hashlib.sha256(b"logo").digest()
    data = (pattern * (size // len(pattern) + 1))[:size]
    for name in ("ours", "theirs"):
        folder.write(name, data)
    key = {"Bucket": bucket[5:], "Key": "large/theirs"}
    number = s3.create_multipart_upload(**key)["UploadId"]
    parts = [data[: 6 << 20], data[6 << 20 :]]  # not our sizes
    tags = [s3.upload_part(**key, UploadId=number, PartNumber=i, Body=part)["ETag"] for i, part in enumerate(parts, 1)]
    parts = [{"ETag": tag, "PartNumber": i} for i, tag in enumerate(tags, 1)]
    s3.complete_multipart_upload(**key, UploadId=number, MultipartUpload={"Parts": parts})
    target = f"{bucket}/large"
    assert upload.upload(folder.where, target).startswith(f"1 files uploaded to {target} (33.6 MB), 1 there before")
    tags = {name: entry["ETag"] for name, entry in keys(s3, target).items()}
    assert tags["ours"].endswith('-3"') and tags["theirs"].endswith('-2"') and body(s3, target, "ours") == data
    assert tags["ours"].strip('"') in object_store._digests(
        tmp_path / "large" / "ours"
    )  # so nothing need be read again
    assert "0 files uploaded" in upload.upload(folder.where, target)
    folder.write("theirs", data[:-1] + b"!")
    with pytest.raises(UserError, match="'theirs' among them"):
        upload.upload(folder.where, target)


def test_what_did_not_arrive_whole_is_told(bucket, shards_folder, monkeypatch):
    monkeypatch.setattr(filesystem.Bucket, "size", lambda self, name: 7)
    with pytest.raises(UserError, match=r"has \d+ bytes here and 7 in s3://"):
        upload.upload(shards_folder.where, f"{bucket}/shards")


@pytest.mark.slow
@pytest.mark.parametrize(("how", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_an_upload_that_was_ended_goes_on(s3, bucket, tmp_path, how, status):
    folder, target = filesystem.open_store(tmp_path / "many"), f"{bucket}/many"
    for i in range(300):
        folder.write(f"{i % 7}/логотип {i}.png", picture(i))
    process = run("upload", "--path", folder, "--target_path", target, "--workers", 2)
    said = end_when(process, lambda: len(keys(s3, target)) >= 20, how, status)
    if how == signal.SIGINT:
        assert said.splitlines()[-1].startswith("stopped: ") and "Traceback" not in said
    before = len(keys(s3, target))
    assert 20 <= before < 300
    assert upload.upload(folder.where, target).endswith(f", {before} there before.")
    assert keys(s3, target).keys() == set(folder.names())
    assert all(body(s3, target, name) == folder.read(name) for name in list(folder.names())[::20])


def test_upload_says_in_one_line_what_is_wrong(s3, bucket, shards_folder, tmp_path, capsys):
    for flags, message in [
        (("--path", tmp_path / "none", "--target_path", bucket), "is not a folder"),
        (("--path", shards_folder, "--target_path", tmp_path), "is not a bucket: it should be like s3://bucket/folder"),
        (("--path", shards_folder), "give either --target_path=s3://bucket/folder or --bucketname=NAME"),
        (("--path", shards_folder, "--target_path", bucket, "-b", "x"), "give either"),
        (("--path", shards_folder, "--bucketname", "no-such-bucket"), "does not exist: create the bucket"),
        (("--path", shards_folder, "--target_path", bucket, "--workers", "0"), "--workers=0 should be from 1 to 64"),
    ]:
        with pytest.raises(SystemExit) as left:
            upload.main([str(flag) for flag in flags])
        assert left.value.code == 2
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert line.startswith("error: ") and message in line
    upload.main(["-p", str(shards_folder), f"--bucketname={bucket[5:]}"])
    assert capsys.readouterr().out.startswith(f"{len(NAMES) + 1} files uploaded to {bucket} (0.0 MB).")
