"""What is in a bucket comes to this machine whole, once, and only as far as it is not there yet."""

import collections
import errno
import shutil
import signal
import subprocess
import sys
import time

import pytest
from buckets import BOTH, end_process
from buckets import contents as files
from conftest import ROOT, environment

from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import download, filesystem, object_store

FILES = {"a.json": b"{}", "train-0": b"one" * 1000, "train-1": b"two" * 1000, "deep/er/file": b"", "ロゴ 1.png": b"png"}


pytestmark = pytest.mark.usefixtures("machine")
IMPORT = "from logogan_jax.core.storage import download"


@pytest.fixture
def got(monkeypatch):
    """{name: how often it was brought}."""
    counts, get = collections.Counter(), object_store.Bucket.get
    monkeypatch.setattr(
        object_store.Bucket, "get", lambda self, name, path: counts.update([name]) or get(self, name, path)
    )
    return counts


@pytest.fixture
def shards(bucket):
    """The address of FILES, beside which others lie."""
    where = filesystem.open_store(f"{bucket}/shards")
    for name, data in FILES.items():
        where.write(name, data)
    filesystem.open_store(f"{bucket}/shards2").write("other", b"")
    return where


def again(address):
    """What a new process of this machine gets."""
    end_process()
    return download.local_folder(address)


def test_a_path_is_that_path(monkeypatch):
    monkeypatch.setenv("HOME", "/somewhere")
    assert str(download.local_folder("~/shards")) == "/somewhere/shards" and str(download.local_folder("a/b")) == "a/b"


@BOTH
def test_only_what_is_missing_or_has_changed_is_brought(shards, got):
    folder = download.local_folder(f"{shards}/")
    assert files(folder) == FILES and got == dict.fromkeys(FILES, 1)
    assert again(shards) == folder and sum(got.values()) == len(FILES)
    got.clear()
    shards.write("train-1", b"TWO" * 1000)  # of the same size
    shards.remove("a.json")
    shards.remove("deep/er/file")
    shards.write("deep", b"a file now")
    (folder / "train-0").write_bytes(b"ONE" * 1000)  # somebody's mistake
    (folder / "mine.txt").write_text("somebody's, too")
    assert again(shards) == folder and got == {"train-1": 1, "deep": 1, "train-0": 1}
    expected = {"train-0": FILES["train-0"], "train-1": b"TWO" * 1000, "deep": b"a file now"}
    assert files(folder) == expected | {"ロゴ 1.png": b"png"} and not (folder / "deep").is_dir()


def test_what_is_hidden_and_what_consoles_call_a_folder_stay(s3, bucket, shards):
    for key in ("shards/", "shards/deep/", "shards/.note", "shards/.hidden/a"):
        s3.put_object(Bucket=bucket[5:], Key=key, Body=b"")
    assert files(download.local_folder(shards)) == FILES


def test_the_caller_sees_one_and_the_same_copy_until_it_ends(shards, got):
    folder = download.local_folder(shards)
    shards.write("train-0", b"new")
    assert download.local_folder(shards) == folder and files(folder) == FILES
    reader = subprocess.Popen(
        [sys.executable, "-c", f"{IMPORT}; download.local_folder('{shards}'); print(1); input()"],
        env=environment(), cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert "has changed since another process here began to read it" in reader.communicate()[1]
    assert files(folder) == FILES
    assert files(again(shards)) == FILES | {"train-0": b"new"}


def test_what_changes_while_it_is_brought_is_brought_once_more(shards, monkeypatch):
    get, changes = object_store.Bucket.get, [b"longer" * 1000, b"longer" * 999]

    def late(self, name, path):
        get(self, name, path)
        if name == "train-0" and changes:
            shards.write("train-0", changes.pop())

    monkeypatch.setattr(object_store.Bucket, "get", late)
    assert files(download.local_folder(shards)) == FILES | {"train-0": b"longer" * 1000}
    changes += [b"x" * n for n in range(9)]
    shards.write("train-0", b"y")
    with pytest.raises(UserError, match="changes while it is downloaded"):
        again(shards)


BRINGING = """
import sys, time
from logogan_jax.core.storage import download, object_store
get, count = object_store.Bucket.get, 0
def slow(self, name, path):
    global count
    get(self, name, path)
    count += 1
    time.sleep({seconds})
object_store.Bucket.get = slow
print(download.local_folder({address!r}), count)
"""


def bringing(address, seconds):
    """A process that brings what is at an address, slowly, and prints the folder and the number of files brought."""
    program = BRINGING.format(seconds=seconds, address=str(address))
    return subprocess.Popen(
        [sys.executable, "-c", program], env=environment(), cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_after_kill_9_only_the_rest_is_brought(bucket, tmp_path, got):
    where, expected = filesystem.open_store(f"{bucket}/many"), {f"{i}/{i}": bytes([i]) * 2000 for i in range(40)}
    for name, data in expected.items():
        where.write(name, data)
    process, folder = bringing(where, 0.1), download.CachedCopy("fetched", where).folder
    end = time.monotonic() + 60
    whole = lambda: [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".partial"]
    while len(whole()) < 12:
        assert time.monotonic() < end and process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert set(files(folder)) != set(expected)
    assert download.local_folder(where) == folder and files(folder) == expected
    assert 40 - len(files(folder)) <= sum(got.values()) <= 40 - 12 + object_store.THREADS


@pytest.mark.slow
def test_several_processes_bring_it_once(shards):
    processes = [bringing(shards, 0.3) for _ in range(3)]
    said = [process.communicate(timeout=60) for process in processes]
    assert sum(int(out.split()[-1]) for out, _ in said) == len(FILES), said
    assert files(download.local_folder(shards)) == FILES


def test_what_is_wrong_is_told_in_one_line(s3, bucket, shards, monkeypatch):
    def said(address):
        with pytest.raises(UserError) as error:
            again(address)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "does not exist: create the bucket" in said("s3://no-such-bucket/shards")
    assert f"{bucket}/none holds no files: check the address" in said(f"{bucket}/none")
    for name in ("../up", "a//b", "sub/./x"):
        s3.put_object(Bucket=bucket[5:], Key=f"odd/{name}", Body=b"1")
        assert f"{bucket}/odd holds '{name}', which cannot be a file" in said(f"{bucket}/odd")
        s3.delete_object(Bucket=bucket[5:], Key=f"odd/{name}")
    for name in ("a", "a/b"):
        s3.put_object(Bucket=bucket[5:], Key=f"odd/{name}", Body=b"1")
    assert "holds 'a/b', which cannot be a file" in said(f"{bucket}/odd")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 5000))
        assert "has 0 MB free, but what" in said(shards) and "LOGOGAN_CACHE" in said(shards)
    with monkeypatch.context() as patch:
        patch.setattr(object_store.Bucket, "get", full)
        with pytest.raises(OSError, match="No space left") as error:
            again(shards)
        assert error.value.errno == errno.ENOSPC
    assert files(again(shards)) == FILES


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_bucket_out_of_reach_is_an_error_that_names_the_copy(shards, monkeypatch, machine):
    folder = download.local_folder(shards)
    monkeypatch.setattr(object_store.Bucket, "objects", away)
    with pytest.raises(UserError, match=rf"shards: away; or use the copy of 20.* as it is, by its path: {folder}$"):
        again(shards)
    machine("where nothing was brought to")
    with pytest.raises(object_store.Unreachable, match=r"shards: away$"):
        again(shards)


def away(self, *_):
    raise object_store.Unreachable(f"{self}: away")
