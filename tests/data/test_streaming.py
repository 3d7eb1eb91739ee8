"""Reading keeps up: the same pixels by a short way and by other processes, which leave nothing behind."""

import contextlib
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
from odd_files import chunk, encoded
from PIL import Image

from logogan_jax.core.errors import UserError
from logogan_jax.data import decode_pool, png, tfrecord
from logogan_jax.data.dataset import TFRecordDataset

DECODE_FOREVER = pathlib.Path(__file__).parent / "decode_forever.py"


@pytest.fixture
def part(shards):
    """40 of the 50 images."""
    return TFRecordDataset(shards, size=(28, 28), channels=3).split(0.2, minimum=1)[0]


@pytest.fixture
def workers(part):
    """Three processes that decode them."""
    with contextlib.closing(decode_pool.DecoderPool(part, 3)) as pool:
        yield pool


# ── pixels of PNGs ──────────────────────────────────────────────────────────────────────────


def picture(mode, width=30, height=20):
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 4), np.uint8)
    return Image.fromarray(noise, "RGBA").convert(mode)


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGB", 3), ("RGBA", 4)])
def test_our_pngs_are_decoded_by_the_short_way(monkeypatch, mode, channels):
    image = picture(mode)
    data = encoded(image, "PNG")
    monkeypatch.setattr(Image, "open", lambda *_: pytest.fail("Pillow was asked what kind of file it is"))
    pixels = png.decode(data, (20, 30, channels))
    assert pixels.dtype == np.uint8 and pixels.tobytes() == image.tobytes()


def chunks(data):
    at, found = 8, []
    while at < len(data):
        length = struct.unpack_from(">I", data, at)[0]
        found.append(data[at : at + 12 + length])
        at += 12 + length
    return found


def test_pngs_of_others_are_decoded_too():
    image = picture("RGB")
    plain = encoded(image, "PNG")
    start, body, end = chunks(plain)
    halves = [chunk(b"IDAT", part) for part in (body[8:20], body[20:-4])]
    more = {
        "two pieces": plain[:8] + start + b"".join(halves) + end,
        "a comment": plain[:8] + start + chunk(b"tEXt", b"a\0b") + body + end,
        "a tail": plain + b"more",
        "resolution": encoded(image, "PNG", dpi=(72, 72)),
    }
    for name, data in more.items():
        assert png.decode(data, (20, 30, 3)).tobytes() == image.tobytes(), name


def test_broken_pngs_are_refused():
    plain = encoded(picture("RGB"), "PNG")
    start, body, end = chunks(plain)
    short, other = chunk(b"IDAT", body[8:60]), chunk(b"IDAT", b"\0" * 60)
    for data in (plain[:-30], plain[:8] + start + short + end, plain[:8] + start + other + end, plain[:40], b""):
        with pytest.raises((ValueError, OSError)):
            png.decode(data, (20, 30, 3))
    for shape in [(20, 30, 1), (20, 30, 4), (30, 20, 3)]:
        with pytest.raises(ValueError, match="the image is RGB 30x20, not"):
            png.decode(plain, shape)


# ── open files ──────────────────────────────────────────────────────────────────────────────


def test_files_are_kept_open_but_not_too_many(tmp_path, monkeypatch):
    monkeypatch.setattr(tfrecord, "MAX_OPEN_FILES", 3)
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
    monkeypatch.setattr(decode_pool, "IMAGES_PER_SHARE", 4)
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
        sizes.append(workers.nbytes)
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


def test_a_killed_process_is_reported(workers):
    workers.result(workers.submit(np.arange(40)))
    os.kill(workers.pids[1], signal.SIGKILL)
    os.waitid(os.P_PID, workers.pids[1], os.WEXITED | os.WNOWAIT)
    for _ in range(2):
        with pytest.raises(UserError, match=r"a process that decodes images has ended \(status -9\): if memory"):
            workers.result(workers.submit(np.arange(40)))


def test_processes_are_light():
    heavy = "{'jax', 'flax', 'absl', 'ml_collections', 'tensorflow_datasets', 'matplotlib', 'torch'}"
    modules = "logogan_jax.data.decode_worker, logogan_jax.data.dataset"
    code = f"import sys, {modules}; print({heavy} & {{*sys.modules}} or 'none')"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), cwd=ROOT, text=True, capture_output=True)
    assert done.stdout == "none\n", done


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not pathlib.Path("/proc/self/stat").exists(), reason="needs Linux")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_processes_end_with_whoever_started_them(shards, how):
    process = subprocess.Popen(
        [sys.executable, DECODE_FOREVER, str(shards)], env=environment(), cwd=ROOT, text=True,
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
    for pid in workers.pids:
        os.kill(pid, how)
    workers.result(workers.submit(np.arange(40)))
