"""A run in a bucket can be gone on with whenever its machine died, and is nobody else's."""

import contextlib
import itertools
import json
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import fork_server
import jax.numpy as jnp
import mirrored
import numpy as np
import pytest
from buckets import BOTH
from buckets import contents as files
from conftest import ROOT, environment

from logogan_jax.core.errors import UserError
from logogan_jax.core.storage import commit_markers, filesystem, lease, object_store, sync, upload, upload_thread
from logogan_jax.core.storage.sync import SyncedRun
from logogan_jax.training.checkpoints import Checkpoints


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """No waiting between pushes, and leases of a second."""
    monkeypatch.setattr(upload_thread, "PACE", 0.0)
    for name, seconds in {"TIMEOUT": 1.0, "RENEW_EVERY": 0.1, "POLL_EVERY": 0.05}.items():
        monkeypatch.setattr(lease, name, seconds)


@pytest.fixture
def did(monkeypatch):
    """[(what was done to a bucket, name)], reading apart."""
    done = []

    def watched(kind):
        act = getattr(object_store.Bucket, kind)

        def both(self, name, *rest):
            if name != lease.NAME:
                done.append((kind, name))
            return act(self, name, *rest)

        return both

    for kind in ("write", "put", "remove", "get"):
        monkeypatch.setattr(object_store.Bucket, kind, watched(kind))
    return done


@contextlib.contextmanager
def pulled(address):
    with contextlib.closing(SyncedRun(address)) as copy:
        copy.acquire()
        yield copy


def killed(copy):
    """End a SyncedRun as kill -9 would: nothing more is uploaded, and the lease is not released."""
    if copy._thread:
        copy._thread.stop()
    copy._lease._released.set()
    if copy._lease._thread:
        copy._lease._thread.join()
    copy._lock_file.close()


def names(address):
    """The objects at an address but the lease."""
    return set(filesystem.open_store(address).objects()) - {lease.NAME}


def ours(folder):
    """The names of the objects for all that is in a run's folder."""
    return set(files(folder)) | {f"checkpoints/{step}.whole" for step in mirrored.steps(folder)}


# ── there and back ──────────────────────────────────────────────────────────────────────────


@BOTH
def test_a_run_comes_back_byte_for_byte_elsewhere(bucket, machine, did):
    address = f"{bucket}/runs/one"
    with pulled(address) as copy:
        (copy.local / ".lock").write_text("")
        mirrored.go(copy.local, copy.request_upload)
        (copy.local / "checkpoints" / "7.orbax-checkpoint-tmp").mkdir()
        (copy.local / "checkpoints" / "7.orbax-checkpoint-tmp" / "half").write_bytes(b"")
        copy.wait()
        shutil.rmtree(copy.local / "checkpoints" / "7.orbax-checkpoint-tmp")
        (copy.local / ".lock").unlink()
        expected = files(copy.local)
        assert names(address) == ours(copy.local)
        did.clear()
        copy.request_upload()
        copy.wait()
        assert not did  # nothing has changed
    machine("another")
    with pulled(address) as copy:
        assert files(copy.local) == expected and mirrored.check(copy.local) == mirrored.LAST
        assert {kind for kind, _ in did} == {"get"} and len(did) == len(expected)
        did.clear()
        copy.wait()
        assert not did
        mirrored.add(copy.local / "metrics.jsonl", {"step": 7})
        copy.wait()
        assert did == [("write", "metrics.jsonl")]
    machine("a third")
    assert files(sync.download_run(address)) == expected | {"metrics.jsonl": files(copy.local)["metrics.jsonl"]}


def test_a_state_is_restored_from_a_bucket(bucket, machine):
    address, state = f"{bucket}/run", {"a": jnp.arange(5.0), "b": {"c": jnp.ones((2, 3))}}
    with pulled(address) as copy, contextlib.closing(Checkpoints(copy.local / "checkpoints", 2)) as checkpoints:
        (copy.local / "config.json").write_text("{}")
        for step in (10, 20, 30):
            checkpoints.save(step, {**state, "a": state["a"] + step})
            copy.request_upload()
        checkpoints.wait()
    machine("another")
    with contextlib.closing(Checkpoints(sync.download_run(address) / "checkpoints", 2, read_only=True)) as checkpoints:
        assert checkpoints.steps() == [20, 30]
        restored = checkpoints.restore(30, state)
    np.testing.assert_array_equal(restored["a"], state["a"] + 30)


def test_who_works_in_a_folder_need_not_know_where_it_is_kept(bucket, tmp_path):
    for place in (tmp_path / "run", f"{bucket}/run"):
        with sync.synced_workdir(place) as (folder, push):
            mirrored.go(folder, push, last=2)
        expected = ours(folder) if place != folder else set(files(folder))
        assert {name for name in filesystem.open_store(place).names() if name != lease.NAME} == expected
        assert files(sync.download_run(place)) == files(folder)


def test_a_line_half_written_stays_here(bucket):
    with pulled(f"{bucket}/run") as copy:
        (copy.local / "metrics.jsonl").write_text('{"step": 1}\n{"ste')
        copy.wait()
        assert filesystem.read_file(f"{bucket}/run/metrics.jsonl") == b'{"step": 1}\n'


def test_large_files_that_grow_are_not_copied_all_the_time(bucket, did, monkeypatch):
    monkeypatch.setattr(upload, "REPEAT_RATE", 1000)
    with pulled(f"{bucket}/run") as copy:
        events = copy.local / "tensorboard" / "events"
        events.parent.mkdir()
        events.write_bytes(b"0" * 100_000)
        copy.wait()
        events.write_bytes(b"0" * 100_001)
        (copy.local / "a").write_text("")
        copy.request_upload()
        end = time.monotonic() + 20
        while ("put", "a") not in did and time.monotonic() < end:
            time.sleep(0.01)
        assert did == [("put", "tensorboard/events"), ("put", "a")]
    assert filesystem.open_store(f"{bucket}/run").size("tensorboard/events") == 100_001  # at the end, all is there


def test_what_others_put_there_stays(bucket, machine):
    address, theirs = f"{bucket}/run", {"notes.txt", "checkpoints/README", "checkpoints/1/theirs", "more/a.png"}
    with pulled(address) as copy:
        mirrored.go(copy.local, copy.wait, last=1)
        for name in theirs:
            filesystem.open_store(address).write(name, b"theirs")
        mirrored.go(copy.local, copy.wait)
        assert names(address) == ours(copy.local) | theirs
    machine("another")
    with pulled(address) as copy:
        assert (copy.local / "notes.txt").read_bytes() == b"theirs"
        (copy.local / "notes.txt").unlink()
        copy.wait()
    assert names(address) >= theirs


# ── whole or not at all ─────────────────────────────────────────────────────────────────────


def test_a_checkpoint_goes_when_the_one_after_it_is_whole(bucket, did):
    with pulled(f"{bucket}/run") as copy:
        mirrored.go(copy.local, copy.wait, last=2)
        did.clear()
        shutil.rmtree(copy.local / "checkpoints" / "1")
        mirrored.add(copy.local / "metrics.jsonl", {"step": 3})
        mirrored.save(copy.local, 3, "old")
        copy.wait()
    order = [did.index(act) for act in [
        ("write", "metrics.jsonl"), ("write", "checkpoints/3.torn"), ("put", "checkpoints/3/_METADATA"),
        ("write", "checkpoints/3.whole"), ("remove", "checkpoints/3.torn"), ("write", "checkpoints/1.torn"),
        ("remove", "checkpoints/1.whole"), ("remove", "checkpoints/1/_METADATA"), ("remove", "checkpoints/1.torn"),
    ]]  # fmt: skip
    assert order == sorted(order)
    assert mirrored.steps(copy.local) == {2: "old", 3: "old"} and names(f"{bucket}/run") == ours(copy.local)


@pytest.mark.parametrize("why", ["went back to step 0", "somebody removed them"])
def test_checkpoints_that_are_all_gone_go_from_the_bucket_only_where_the_run_went_back(tmp_path, machine, why):
    address = f"memory://{why[:4]}/run"
    uploader = upload.Uploader(tmp_path, filesystem.open_store(address), Free())
    mirrored.go(tmp_path, lambda: uploader.upload(True), last=2)
    for step in (1, 2):
        mirrored.remove(tmp_path, step)
    if "step 0" in why:
        mirrored.add(tmp_path / "events.jsonl", {"step": 2, "action": "roll back", "to": 0})
        mirrored.rewind(tmp_path, 0)
    uploader.upload(True)
    machine("another")
    with pulled(address) as copy:
        assert mirrored.steps(copy.local) == ({} if "step 0" in why else {1: "old", 2: "old"})
        assert len(mirrored.lines(copy.local / "metrics.jsonl")) == (0 if "step 0" in why else 2)


class Free:
    """A lease that nobody contests."""

    def confirm(self):
        pass


class Dead(BaseException):
    """The end of a process."""


def dying(patch, at):
    """Let the process die at what it does to a bucket for the `at`th time."""
    count = itertools.count()

    def mortal(act):
        def until_then(self, *rest):
            if next(count) >= at:
                raise Dead
            return act(self, *rest)

        return until_then

    for kind in ("write", "put", "remove"):
        patch.setattr(object_store.Bucket, kind, mortal(getattr(object_store.Bucket, kind)))


@pytest.mark.slow
def test_whenever_a_run_dies_its_bucket_can_be_gone_on_with(machine, tmp_path):
    """Shares the code of S3 and GCS; only in memory it is quick enough for every moment."""
    for at in itertools.count():
        address, reached = f"memory://died-at-{at}/run", [0]
        here, died = tmp_path / f"{at}", False
        way = upload.Uploader(here, filesystem.open_store(address), Free())

        def send():
            way.upload(True)  # noqa: B023
            reached.append(mirrored.check(here))  # noqa: B023

        with pytest.MonkeyPatch.context() as patch:
            dying(patch, at)
            try:
                mirrored.go(here, send)
            except Dead:
                died = True
        machine(f"another-{at}")
        with pulled(address) as copy:
            went_back = any(line["action"] == "roll back" for line in mirrored.lines(here / "events.jsonl"))
            least = reached[-1] if not went_back else min(reached[-1], mirrored.BAD - 1)
            assert mirrored.check(copy.local) >= least, at
            mirrored.go(copy.local, copy.wait)
            assert names(address) == ours(copy.local), at  # nothing is left of what was torn
            assert mirrored.steps(copy.local).items() >= {5: "new", 6: "new"}.items()
        if not died:
            break
    assert at > 50


def test_a_checkpoint_that_is_just_being_removed_is_not_copied(bucket, monkeypatch):
    put = object_store.Bucket.put
    with pulled(f"{bucket}/run") as copy:
        mirrored.go(copy.local, lambda: None, last=2)

        def removed(self, name, path):
            if name == "checkpoints/1/_METADATA":
                shutil.rmtree(copy.local / "checkpoints" / "1")
            return put(self, name, path)

        monkeypatch.setattr(object_store.Bucket, "put", removed)
        copy.wait()
        assert names(f"{bucket}/run") == ours(copy.local) and mirrored.steps(copy.local) == {2: "old"}


def test_checkpoints_that_lost_files_are_left_out_and_other_bytes_refused(bucket, machine, capsys):
    address, where = f"{bucket}/run", filesystem.open_store(f"{bucket}/run")
    with pulled(address) as copy:
        mirrored.go(copy.local, copy.wait)
    where.write("checkpoints/5/_METADATA", b"5 odd ")  # of the same size
    machine("another")
    with (
        pytest.raises(UserError, match=r"not what s3://.*/run/checkpoints/5.whole says: remove that mark"),
        pulled(address),
    ):
        pass
    where.remove("checkpoints/6/_METADATA")
    where.remove("checkpoints/5.whole")
    where.write("checkpoints/5.torn", b'{"files": {"_METADATA": {"size": 6, "sha256": ""}}}')
    assert not (sync.download_run(address) / "checkpoints").exists()
    with pulled(address) as copy:
        assert "run/checkpoints/6 is not whole: it is left out" in capsys.readouterr().err
        mirrored.go(copy.local, copy.wait, last=1)
        left = {f"checkpoints/5/{name}" for name in mirrored.content(5, "new")} - {"checkpoints/5/_METADATA"}
        assert names(address) - left == ours(copy.local) | {f"samples/{i:06d}.png" for i in range(1, 7)}


def test_a_checkpoint_put_there_by_hand_is_refused(bucket, machine):
    for name in ("config.json", "checkpoints/10/_METADATA"):
        filesystem.open_store(f"{bucket}/run").write(name, b"{}")
    for act in (sync.download_run, lambda address: pulled(address).__enter__()):
        with pytest.raises(UserError, match=r"checkpoints/10 has no checkpoints/10.whole, which a run writes"):
            act(f"{bucket}/run")
    with pytest.raises(UserError, match=r"holds no run \(no config.json\)"):
        sync.download_run(f"{bucket}/none")


@pytest.mark.slow
def test_after_kill_9_at_any_moment_the_run_goes_on(bucket, machine):
    address, chance, reached = f"{bucket}/run", random.Random(0), 0
    for attempt in range(8):
        if attempt % 4:  # mostly where there is nothing but the bucket
            machine(f"machine {attempt}")
        process = fork_server.start(
            [sys.executable, ROOT / "tests" / "mirrored.py", address, "0.05"], env=environment(), cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        found = process.stdout.readline()
        assert found, process.communicate()
        assert int(found) >= reached
        for _ in range(attempt % 3):  # so that the run comes on, however slow the machine is
            assert process.stdout.readline() == "uploaded\n", process.communicate()
        time.sleep(0.5 * chance.random())
        process.send_signal(signal.SIGKILL)
        assert not process.communicate()[1].strip().startswith("Traceback")
        objects = filesystem.open_store(address).objects()
        reached = max(commit_markers.CommitMarkers(filesystem.open_store(address)).complete(objects), default=0)
    assert reached > 4  # past the step to which the run goes back once


# ── whose run it is ─────────────────────────────────────────────────────────────────────────


def ahead(address):
    """a SyncedRun whose folder went on after the mirror was killed."""
    copy = SyncedRun(address)
    copy.acquire()
    mirrored.go(copy.local, copy.wait, last=4)
    killed(copy)
    mirrored.go(copy.local, lambda: None)
    return copy


def test_what_was_not_copied_yet_is_not_lost_here(bucket, machine):
    address = f"{bucket}/run"
    ahead(address)
    with pulled(address) as copy:
        assert mirrored.check(copy.local) == 6
        copy.wait()
        assert names(address) == ours(copy.local) | {"samples/000003.png"}


@pytest.mark.slow
@pytest.mark.parametrize("change", ["went on elsewhere", "another run", "removed"])
def test_what_was_not_copied_yet_does_not_mix_with_what_others_did(bucket, machine, change, capsys):
    address = f"{bucket}/run"
    copy = ahead(address)
    (copy.local / "samples" / "more.png").write_bytes(b"")
    if change == "another run":
        filesystem.open_store(address).write("config.json", b"{}")
    elif change == "removed":
        for name in filesystem.open_store(address).objects():
            filesystem.open_store(address).remove(name)
    else:
        machine("another")
        with pulled(address) as other:
            mirrored.go(other.local, other.wait, last=5)
        machine("cache")
    expected = names(address)
    with pulled(address) as copy:
        assert ours(copy.local) == expected == names(address)
    assert "has gone on elsewhere: checkpoints" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    "place",
    [(lease.Lease, "_keep_renewing"), (commit_markers.CommitMarkers, "repair"), (object_store.Bucket, "get")],
)
def test_a_pull_that_was_killed_is_begun_again(bucket, machine, place, monkeypatch):
    address = f"{bucket}/run"
    with pulled(address) as copy:
        mirrored.go(copy.local, copy.wait, last=4)
    mirrored.go(copy.local, lambda: None)
    machine("another")
    with pulled(address) as other:
        mirrored.go(other.local, other.wait, last=5)
    machine("cache")
    again = SyncedRun(address)
    with monkeypatch.context() as patch, pytest.raises(Dead):
        patch.setattr(*place, property(dead))
        again.acquire()
    killed(again)
    with pulled(address) as copy:
        assert mirrored.check(copy.local) == 5 and files(copy.local) == files(other.local)


def dead(*_):
    raise Dead


@pytest.mark.slow
@BOTH
def test_one_machine_at_a_time(bucket, machine, monkeypatch, capsys):
    address = f"{bucket}/run"
    with pulled(address) as copy:
        mirrored.go(copy.local, copy.wait, last=1)
        with (
            pytest.raises(UserError, match=r"another process is training in (s3|gs)://.*/run: stop it, or"),
            pulled(address),
        ):
            pass
        monkeypatch.setattr("socket.gethostname", lambda: "far-away")
        machine("another")
        began = time.monotonic()
        with (
            pytest.raises(UserError, match=r"is training in (s3|gs)://.*/run: stop it, or choose another"),
            pulled(address),
        ):
            pass
        assert 1.4 < time.monotonic() - began < 5
        assert "waiting up to 1 s to see" in capsys.readouterr().err
        threading.Timer(0.3, lambda: killed(copy)).start()
        with pulled(address) as other:  # once the lease has lapsed
            assert mirrored.check(other.local) == 1
            copy._thread = copy._lease._thread = None


def test_who_was_replaced_stops_writing(bucket, monkeypatch):
    address = f"{bucket}/run"
    with pytest.raises(UserError, match="is not this run's any more: far-away trains there"), pulled(address) as copy:
        mirrored.go(copy.local, copy.wait, last=1)
        found = json.loads(filesystem.read_file(f"{address}/{lease.NAME}"))
        end = time.monotonic() + 20
        while time.monotonic() < end:  # again and again, for this one may be about to renew its own
            filesystem.open_store(address).write(
                lease.NAME, json.dumps({**found, "process": "1", "host": "far-away"}).encode()
            )
            copy.request_upload()
            time.sleep(0.05)
    (copy.local / "late").write_text("")
    assert "late" not in names(address)


# ── errors ──────────────────────────────────────────────────────────────────────────────────


def test_errors_come_to_those_who_push(s3, bucket, monkeypatch):
    put, fails = object_store.Bucket.put, [object_store.Unreachable("away")] * 3

    def failing(self, name, path):
        if fails:
            raise fails.pop()
        return put(self, name, path)

    monkeypatch.setattr(object_store.Bucket, "put", failing)
    copy = SyncedRun(f"{bucket}/run")
    copy.acquire()
    mirrored.go(copy.local, copy.request_upload, last=1)
    copy.wait()  # what passes is not worth a word
    assert not fails and names(f"{bucket}/run") == ours(copy.local)
    monkeypatch.setattr(upload_thread, "PATIENCE", 0.2)
    monkeypatch.setattr(object_store.Bucket, "put", lambda *_: failing_for_ever())
    mirrored.save(copy.local, 2, "old")
    with pytest.raises(UserError, match="away for ever"):
        copy.wait()
    with pytest.raises(UserError, match="away for ever"):
        copy.request_upload()
    copy.close()
    with pytest.raises(UserError, match="create the bucket"), pulled("s3://no-such-bucket/run"):
        pass


def failing_for_ever():
    raise object_store.Unreachable("away for ever")
