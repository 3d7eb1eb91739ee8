"""Reading keeps up: the same pixels by a short way and by other processes, which leave nothing behind."""

import contextlib
import io
import os
import pathlib
import pickle
import shutil
import signal
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
from conftest import ROOT, environment
from PIL import Image

from logogan_jax.core.errors import UserError
from logogan_jax.data import decode_pool, png, tfrecord
from logogan_jax.data.dataset import TFRecordDataset


@pytest.fixture
def part(shards):
    """40 of the 50 images."""
    return TFRecordDataset(shards, size=(28, 28), channels=3).split(0.2, least=1)[0]


@pytest.fixture
def workers(part):
    """Three processes that decode them."""
    with contextlib.closing(decode_pool.DecoderPool(part, 3)) as found:
        yield found


# ── pixels of PNGs ──────────────────────────────────────────────────────────────────────────


def encoded(image, **options):
    stream = io.BytesIO()
    image.save(stream, format="PNG", **options)
    return stream.getvalue()


def picture(mode, width=30, height=20):
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 4), np.uint8)
    return Image.fromarray(noise, "RGBA").convert(mode)


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 4)])
def test_our_pngs_are_decoded_by_the_short_way(monkeypatch, mode, channels):
    image = picture(mode)
    monkeypatch.setattr(png, "_any", lambda *_: pytest.fail("the long way was taken"))
    found = png.decode(encoded(image), (20, 30, channels))
    assert found.dtype == np.uint8 and found.tobytes() == image.tobytes()


def chunks(data):
    at, found = 8, []
    while at < len(data):
        length = struct.unpack_from(">I", data, at)[0]
        found.append(data[at : at + 12 + length])
        at += 12 + length
    return found


def test_pngs_of_others_are_decoded_too():
    image = picture("RGB")
    plain = encoded(image)
    start, body, end = chunks(plain)
    halves = [png._chunk(b"IDAT", part) for part in (body[8:20], body[20:-4])]
    more = {
        "two pieces": plain[:8] + start + b"".join(halves) + end,
        "a comment": plain[:8] + start + png._chunk(b"tEXt", b"a\0b") + body + end,
        "a tail": plain + b"more",
        "resolution": encoded(image, dpi=(72, 72)),
    }
    for name, data in more.items():
        assert png.decode(data, (20, 30, 3)).tobytes() == image.tobytes(), name


def test_broken_pngs_are_refused():
    plain = encoded(picture("RGB"))
    start, body, end = chunks(plain)
    short, other = png._chunk(b"IDAT", body[8:60]), png._chunk(b"IDAT", b"\0" * 60)
    for data in (plain[:-30], plain[:8] + start + short + end, plain[:8] + start + other + end, plain[:40], b""):
        with pytest.raises((ValueError, OSError)):
            png.decode(data, (20, 30, 3))
    for shape in [(20, 30, 1), (20, 30, 4), (30, 20, 3)]:
        with pytest.raises(ValueError, match="the image is RGB 30x20, not"):
            png.decode(plain, shape)


# ── open files ──────────────────────────────────────────────────────────────────────────────


def test_files_are_kept_open_but_not_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(tfrecord, "_OPEN", 3)
    indexes = []
    for number in range(6):
        with tfrecord.Writer(tmp_path / str(number)) as writer:
            writer.write(b"%d" % number)
        indexes.append(tfrecord.build_index(str(tmp_path / str(number))))
    files, before = tfrecord.FileHandles(), len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        assert [files.read(index, 0) for index in indexes] == [b"%d" % number for number in range(6)]
    assert len(os.listdir("/proc/self/fd")) == before + 3
    assert pickle.loads(pickle.dumps(files)).read(indexes[5], 0) == b"5"
    del files
    assert len(os.listdir("/proc/self/fd")) == before


# ── looks ───────────────────────────────────────────────────────────────────────────────────


def test_what_nobody_looks_at_is_black_and_has_its_label(part):
    look = np.arange(40) % 3 > 0
    all_of_them, labels = part.images(np.arange(40))
    some, same = part.images(np.arange(40), look)
    assert (same == labels).all() and 0 < labels.sum() < 40
    assert (some[look] == all_of_them[look]).all() and not some[~look].any()


# ── processes ───────────────────────────────────────────────────────────────────────────────


def test_processes_decode_the_same_in_any_number(part, workers):
    order = np.random.default_rng(0).permutation(40)
    look = np.arange(40) % 4 > 0
    asked = [(order[:n], look[:n]) for n in (40, 2, 17, 40, 1)]
    futures = [workers.submit(*each) for each in asked]
    for each, future in zip(asked, futures, strict=True):
        for found, expected in zip(workers.result(future), part.images(*each), strict=True):
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)


def test_many_images_are_shared_out_in_order(part, monkeypatch):
    monkeypatch.setattr(decode_pool, "_CHUNK", 4)
    monkeypatch.setattr(decode_pool, "available_cores", lambda: 2)
    order, used = np.random.default_rng(0).permutation(40)[:37], []
    monkeypatch.setattr(
        decode_pool, "DecoderPool", lambda *values, kind=decode_pool.DecoderPool: used.append(values) or kind(*values)
    )
    for many in (38, 37):
        monkeypatch.setattr(decode_pool, "MIN_IMAGES_FOR_POOL", many)
        for found, expected in zip(decode_pool.decode_images(part, order), part.images(order), strict=True):
            np.testing.assert_array_equal(found, expected)
        assert len(used) == (many == 37)


def test_memory_is_used_again(workers):
    sizes = []
    for _ in range(6):
        for future in [workers.submit(np.arange(40)) for _ in range(3)]:
            workers.result(future)
        sizes.append(os.fstat(workers._memory.fileno()).st_size)
    assert len(set(sizes)) == 1


def test_an_error_in_a_process_is_the_same_line(shards, tmp_path):
    folder = shutil.copytree(shards, tmp_path / "shards")
    path = min(folder.glob("*.tfrecord-*"))
    whole = bytearray(path.read_bytes())
    whole[-10] ^= 1
    path.write_bytes(whole)
    damaged = TFRecordDataset(folder, size=(28, 28), channels=3)
    with pytest.raises(UserError, match=r"is corrupt: bad checksum in record \d+, offset \d+: make") as here:
        damaged.images(np.arange(50))
    with contextlib.closing(decode_pool.DecoderPool(damaged, 2)) as workers:
        futures = [workers.submit(positions) for positions in (np.arange(50), np.arange(40, 50))]
        with pytest.raises(UserError) as there:
            workers.result(futures[0])
        assert str(there.value) == str(here.value)
        np.testing.assert_array_equal(workers.result(futures[1])[0], damaged.images(np.arange(40, 50))[0])


def test_a_process_that_was_killed_is_told_of(workers):
    workers.result(workers.submit(np.arange(40)))
    workers._workers[1].kill()
    workers._workers[1].wait()
    for _ in range(2):
        with pytest.raises(UserError, match=r"a process that decodes images was ended \(status -9\): if memory"):
            workers.result(workers.submit(np.arange(40)))


def test_processes_are_light():
    heavy = "{'jax', 'flax', 'absl', 'ml_collections', 'tensorflow_datasets', 'matplotlib', 'torch'}"
    modules = "logogan_jax.data.decode_worker, logogan_jax.data.dataset"
    code = f"import sys, {modules}; print({heavy} & {{*sys.modules}} or 'none')"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), cwd=ROOT, text=True, capture_output=True)
    assert done.stdout == "none\n", done


SCRIPT = """
import sys, numpy as np
from logogan_jax.core import errors
from logogan_jax.data import decode_pool
from logogan_jax.data.dataset import TFRecordDataset

with errors.exit_on_error():
    workers = decode_pool.DecoderPool(TFRecordDataset(sys.argv[1], size=(28, 28), channels=3), 2)
    workers.result(workers.submit(np.arange(50)))
    print(*[worker.pid for worker in workers._workers], flush=True)
    while True:
        workers.result(workers.submit(np.arange(50)))
"""


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not pathlib.Path("/proc/self/stat").exists(), reason="needs Linux")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_processes_end_with_whoever_started_them(shards, how):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(shards)], env=environment(), cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0,
    )  # fmt: skip
    workers = [int(word) for word in process.stdout.readline().split()]
    assert len(workers) == 2 and all(map(alive, workers))
    if how == signal.SIGINT:
        os.killpg(process.pid, how)  # as a terminal does
    else:
        process.send_signal(how)
    _, err = process.communicate(timeout=60)
    if how == signal.SIGKILL:
        assert process.returncode == -how and not err
    else:
        assert process.returncode == 128 + how
        assert err == "stopped: the same command goes on where this one was\n"
    end = time.monotonic() + 30
    while any(map(alive, workers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(alive, workers))


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_processes_are_deaf_to_what_is_meant_for_the_trainer(workers, how):
    workers.result(workers.submit(np.arange(40)))  # they have begun to listen
    for worker in workers._workers:
        worker.send_signal(how)
    workers.result(workers.submit(np.arange(40)))
