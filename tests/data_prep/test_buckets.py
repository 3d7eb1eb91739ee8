"""Tools work in a bucket as in a folder: journals that survive, downloads and uploads that resume."""

import collections
import hashlib
import json
import signal
import subprocess
import time

import fork_server
import pytest
from buckets import NAMES, body, stored
from conftest import ROOT, command, environment
from file_server import QUICK, after, listing, picture, server  # noqa: F401 - a fixture

from data_prep import journal, upload
from data_prep.download_images import download
from data_prep.journal import Journal
from data_prep.web import file_names
from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import digests, filesystem

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
    return fork_server.start(
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
    done = lambda: body(s3, target, "manifest.jsonl").count(b"\n") if "manifest.jsonl" in stored(s3, target) else 0
    said = end_when(process, lambda: done() >= 15, how, status)
    assert "Traceback" not in said
    before = done()
    assert 15 <= before < 120
    totals = download(path, target, trusted=[server.place], policy=QUICK)
    assert f" {before} done before, 0 rejected" in totals
    found = stored(s3, target)
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
    said = upload.upload(shards_folder.path, target)
    assert said.startswith(f"{len(NAMES) + 1} files uploaded to {target} (0.0 MB).")
    assert stored(s3, target).keys() == {*NAMES, "empty"}
    assert all(body(s3, target, name) == name.encode() * 50 for name in NAMES)
    written = {name: entry["LastModified"] for name, entry in stored(s3, target).items()}
    shards_folder.write("new", b"1")
    monkeypatch.setattr("obstore.store.S3Store.get", None)  # what S3 tells of an object is enough: none is read again
    assert upload.upload(shards_folder.path, target) == (
        f"1 files uploaded to {target} (0.0 MB), {len(NAMES) + 1} there before."
    )
    now = {name: entry["LastModified"] for name, entry in stored(s3, target).items()}
    assert written.items() < now.items() and len(now) == len(written) + 1


def test_other_bytes_are_not_overwritten_unless_asked(s3, bucket, shards_folder):
    target = f"{bucket}/shards"
    name = NAMES[4]
    s3.put_object(Bucket=bucket[5:], Key=f"shards/{name}", Body=name.encode()[::-1] * 50)  # of the same size
    with pytest.raises(UserError, match=rf"1 objects in {target} have other bytes .*'{name}' among them; nothing was"):
        upload.upload(shards_folder.path, target)
    assert stored(s3, target).keys() == {name} and body(s3, target, name) == name.encode()[::-1] * 50
    said = upload.upload(shards_folder.path, target, replace=True)
    assert f"{len(NAMES) + 1} files uploaded to {target}, 1 of them replaced" in said
    assert body(s3, target, name) == name.encode() * 50


@pytest.mark.slow
def test_a_large_file_goes_in_parts_and_is_known_again_however_it_came(s3, bucket, tmp_path):
    folder, size = filesystem.open_store(tmp_path / "large"), 2 * digests.PART + 12345
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
    assert upload.upload(folder.path, target).startswith(f"1 files uploaded to {target} (33.6 MB), 1 there before")
    tags = {name: entry["ETag"] for name, entry in stored(s3, target).items()}
    assert tags["ours"].endswith('-3"') and tags["theirs"].endswith('-2"') and body(s3, target, "ours") == data
    assert tags["ours"].strip('"') in digests.possible_etags(
        tmp_path / "large" / "ours"
    )  # so nothing need be read again
    assert "0 files uploaded" in upload.upload(folder.path, target)
    folder.write("theirs", data[:-1] + b"!")
    with pytest.raises(UserError, match="'theirs' among them"):
        upload.upload(folder.path, target)


def test_what_did_not_arrive_whole_is_told(bucket, shards_folder, monkeypatch):
    monkeypatch.setattr(filesystem.Bucket, "size", lambda self, name: 7)
    with pytest.raises(UserError, match=r"has \d+ bytes here and 7 in s3://"):
        upload.upload(shards_folder.path, f"{bucket}/shards")


@pytest.mark.slow
@pytest.mark.parametrize(("how", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_an_upload_that_was_ended_goes_on(s3, bucket, tmp_path, how, status):
    folder, target = filesystem.open_store(tmp_path / "many"), f"{bucket}/many"
    for i in range(300):
        folder.write(f"{i % 7}/логотип {i}.png", picture(i))
    process = run("upload", "--path", folder, "--target_path", target, "--workers", 2)
    said = end_when(process, lambda: len(stored(s3, target)) >= 20, how, status)
    if how == signal.SIGINT:
        assert said.splitlines()[-1].startswith("stopped: ") and "Traceback" not in said
    before = len(stored(s3, target))
    assert 20 <= before < 300
    assert upload.upload(folder.path, target).endswith(f", {before} there before.")
    assert stored(s3, target).keys() == set(folder.names())
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
