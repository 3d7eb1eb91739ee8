"""Order, records, shards and sources: every image once an epoch, the same batch from anywhere, no silent damage."""

import json
import queue
import shutil
import struct

import jax
import numpy as np
import pytest
from conftest import drawing, encode_png

from data_prep import write_tfrecords
from data_prep.pictures.convert import ImageSpec, Item
from logogan_jax.config import build_training
from logogan_jax.core import target
from logogan_jax.core.errors import UserError
from logogan_jax.data import decode_pool, in_memory, sampler, sources, tfrecord
from logogan_jax.data.dataset import TFRecordDataset
from logogan_jax.distributed.data_parallel import DataParallel

# ── order ───────────────────────────────────────────────────────────────────────────────────


def test_every_image_comes_once_an_epoch_across_step_borders():
    drawn = np.concatenate([sampler.sample_indices(seed=1, step=step, count=6, size=20) for step in range(10)])
    for epoch in drawn.reshape(3, 20):
        assert sorted(epoch) == list(range(20))
    assert (drawn[:20] != drawn[20:40]).any()


def test_order_is_a_function_of_seed_and_step():
    again = lambda **changed: sampler.sample_indices(
        **{"seed": 1, "step": 7, "count": 6, "size": 20, **changed}
    ).tolist()
    assert again() == again()
    assert again() != again(seed=2)
    assert again() != again(step=8)


def test_the_draws_of_a_step_are_cut_from_one_sequence():
    found = sampler.batch_indices(seed=1, step=3, count=2, shape=(3, 4), size=20)
    assert found.shape == (2, 3, 4) and found.dtype == np.int32
    one_by_one = [sampler.sample_indices(seed=1, step=step, count=12, size=20) for step in (3, 4)]
    np.testing.assert_array_equal(found.ravel(), np.concatenate(one_by_one))


def test_one_batch_may_serve_several_steps_as_in_2018():
    drawn = lambda step, count: sampler.batch_indices(
        seed=1, step=step, count=count, shape=(3, 4), size=20, same_batch_for=4
    )
    eight = drawn(0, 8)
    first, second = (sampler.sample_indices(seed=1, step=number, count=4, size=20) for number in (0, 1))
    assert sorted(first) != sorted(second)
    for step in range(8):
        for batch in eight[step]:
            np.testing.assert_array_equal(batch, first if step < 4 else second)
    np.testing.assert_array_equal(drawn(2, 3), eight[2:5])
    assert (sampler.batch_indices(seed=1, step=0, count=9, shape=(2, 4), size=20, same_batch_for=10**6) == first).all()


def test_a_step_may_draw_more_than_the_data_set():
    drawn = sampler.sample_indices(seed=0, step=3, count=50, size=20)
    assert np.bincount(drawn, minlength=20).min() >= 2


# ── records ─────────────────────────────────────────────────────────────────────────────────


def test_masked_crc_is_that_of_the_format():
    # CRC-32C of 32 zero bytes is 0x8A9136AA (RFC 3720, B.4); the mask is TFRecord's.
    crc = 0x8A9136AA
    assert tfrecord.masked_crc(bytes(32)) == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def written(path, payloads):
    with tfrecord.Writer(path) as writer:
        for payload in payloads:
            writer.write(payload)
    return path


def test_records_come_back_by_number(tmp_path):
    payloads = [b"one", b"", b"three" * 100]
    path = written(tmp_path / "a", payloads)
    index = tfrecord.build_index(str(path))
    assert [tfrecord.read(index, i) for i in (2, 0, 1)] == [payloads[2], payloads[0], payloads[1]]


def test_examples_round_trip_and_are_the_same_bytes_every_time():
    features = {"name": "Größe 😀", "image": b"\x00\xff", "label": 7}
    found = tfrecord.decode(tfrecord.encode(features))
    assert found == {"name": "Größe 😀".encode(), "image": b"\x00\xff", "label": 7}
    assert tfrecord.encode(features) == tfrecord.encode(dict(reversed(features.items())))


def test_a_flipped_bit_names_file_record_and_offset(tmp_path):
    path = written(tmp_path / "a.tfrecord", [b"x" * 10, b"y" * 10])
    whole = path.read_bytes()
    second = 12 + 10 + 4 + 12
    path.write_bytes(whole[:second] + b"z" + whole[second + 1 :])
    index = tfrecord.build_index(str(path))
    assert tfrecord.read(index, 0) == b"x" * 10
    with pytest.raises(UserError, match=rf"a.tfrecord is corrupt: .* record 1, offset {second}.*write_tfrecords"):
        tfrecord.read(index, 1)
    path.write_bytes(struct.pack("<Q", 11) + whole[8:])
    with pytest.raises(UserError, match="bad length checksum in record 0"):
        tfrecord.build_index(str(path))


@pytest.mark.parametrize("cut", [1, 5, 20, 30])
def test_a_truncated_file_is_named(tmp_path, cut):
    path = written(tmp_path / "a.tfrecord", [b"x" * 10, b"y" * 10])
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(UserError, match=r"a.tfrecord is truncated in record \d"):
        tfrecord.build_index(str(path))


# ── shards ──────────────────────────────────────────────────────────────────────────────────


def test_shards_hold_what_was_written(shards):
    opened = TFRecordDataset(shards, size=(28, 28), channels=3)
    assert len(opened) == 50 and opened.labels == {"box": 25, "disc": 25}
    assert list(opened.labels) == ["box", "disc"]
    pixels, labels = opened.images(np.arange(50))
    assert pixels.shape == (50, 28, 28, 3) and pixels.dtype == np.uint8
    assert sorted(labels) == [0] * 25 + [1] * 25
    image, label = opened.image(17)
    assert (image == pixels[17]).all() and label == labels[17]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"size": (56, 56)},
            r"config.data.size is 56, but .* size 28: set --config.data.size=28, or make .*write_tfrecords"
            r" --path=IMAGES --size=56 --channels=3",
        ),
        ({"channels": 1}, r"config.data.channels is 1, but .* channels 3: set --config.data.channels=3, or .*nels=1"),
        (
            {"size": (28, 42)},
            r"config.data.width is 42, but .* width 0 \(square\): set --config.data.width=0, or .*--size=28 --width=42",
        ),
        (
            {"size": (56, 28), "channels": 4},
            r"set --config.data.size=28 --config.data.width=0 --config.data.channels=3, or",
        ),
    ],
)
def test_another_shape_names_both_and_the_command(shards, values, message):
    with pytest.raises(UserError, match=message):
        TFRecordDataset(shards, **{"size": (28, 28), "channels": 3, **values})


def test_shards_need_not_be_square(tmp_path):
    items = [Item(f"{i}.png", i, encode_png(drawing(i))) for i in range(4)]
    frame = ImageSpec(20, 1, width=32)
    write_tfrecords.write(items, tmp_path / "wide", spec=frame, name="a", labels=[*"abcd"], description="", workers=0)
    wide = TFRecordDataset(tmp_path / "wide", size=(20, 32), channels=1)
    assert wide.shape == (20, 32, 1) == TFRecordDataset.open(tmp_path / "wide").shape
    train, held_out = wide.split(0.5, minimum=1)
    assert train.pixels().shape == (2, 20, 32, 1)
    pixels, labels = held_out.images(np.arange(2))
    assert (pixels == np.stack([wide.image(2)[0], wide.image(3)[0]])).all()
    assert sorted([*labels, *(wide.image(i)[1] for i in range(2))]) == [0, 1, 2, 3]
    both = "size=20 --config.data.width=32"
    for size, mend in [((20, 20), "width=32"), ((32, 20), both), ((32, 32), both)]:
        with pytest.raises(UserError, match=f"holds images with .*: set --config.data.{mend}"):
            TFRecordDataset(tmp_path / "wide", size=size, channels=1)
    with pytest.raises(UserError, match=r"config.data.width is 0 \(square\), but .* holds images with width 32"):
        TFRecordDataset(tmp_path / "wide", size=(20, 20), channels=1)


@pytest.fixture
def damaged(shards, tmp_path):
    return shutil.copytree(shards, tmp_path / "shards")


def first_shard(folder):
    return min(folder.glob("*.tfrecord-*"))


def opened(folder):
    return TFRecordDataset(folder, size=(28, 28), channels=3)


def test_missing_foreign_and_damaged_folders_are_named(damaged, tmp_path):
    with pytest.raises(UserError, match=r"nowhere, which is not a folder: make it: python -m data_prep"):
        opened(tmp_path / "nowhere")
    with pytest.raises(UserError, match=r"no metadata.json, so it is not a folder of our shards"):
        opened(tmp_path)
    metadata = json.loads((damaged / "metadata.json").read_text())
    (damaged / "metadata.json").write_text("{")
    with pytest.raises(UserError, match=r"metadata.json is not readable JSON"):
        opened(damaged)
    del metadata["width"]
    for other in ({**metadata, "labels": ["box", "disc"]}, [], {}):
        (damaged / "metadata.json").write_text(json.dumps(other))
        for read in (opened, TFRecordDataset.open):
            with pytest.raises(
                UserError, match=r"was not written by this version: make the shards again: .*write_tfrecords"
            ):
                read(damaged)


def test_a_missing_shard_is_counted(damaged):
    first_shard(damaged).unlink()
    with pytest.raises(UserError, match=r"holds 2 train shards of 3: restore the missing files"):
        opened(damaged)


def test_a_shard_of_another_set_is_noticed(damaged):
    written(first_shard(damaged), [b"foreign"])
    with pytest.raises(UserError, match=r"records, but its metadata.json says 50"):
        opened(damaged)


@pytest.mark.parametrize(
    ("example", "message"),
    [
        ({"image": b"not a picture"}, "cannot identify image"),
        ({"image": encode_png(drawing(0, size=30))}, "the image is RGB 30x30, not RGB 28x28"),
        ({"image": encode_png(drawing(0, size=28).convert("L"))}, "the image is L 28x28, not RGB 28x28"),
        ({"label": 1}, "image"),
    ],
)
def test_a_record_that_is_not_our_image_is_named(damaged, example, message):
    shard = first_shard(damaged)
    count = len(tfrecord.build_index(str(shard)).offsets)
    written(shard, [tfrecord.encode(example)] * count)
    with pytest.raises(UserError, match=rf"tfrecord-00000-of-00003, record 0: .*{message}"):
        opened(damaged).image(0)


def test_the_fingerprint_is_of_the_images(shards, damaged):
    assert opened(damaged).fingerprint == opened(shards).fingerprint
    shard = first_shard(damaged)
    payload = tfrecord.encode({"image": encode_png(drawing(99, size=28)), "label": 0})
    written(shard, [payload] * len(tfrecord.build_index(str(shard)).offsets))
    assert opened(damaged).fingerprint != opened(shards).fingerprint


# ── sources ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "cores"),
    [
        ("shard_map", 4),
        pytest.param("shard_map", 1, marks=pytest.mark.slow),
        pytest.param("pmap", 2, marks=pytest.mark.slow),
    ],
)
def test_resident_and_stream_give_the_same_batches(tiny, monkeypatch, how, cores):
    monkeypatch.setattr(decode_pool, "available_cores", lambda: cores)
    made = {
        name: build_training.build(tiny("wgan_gp", data__source=name, train__parallel=how)).runner.source
        for name in ("resident", "stream")
    }
    shapes = set()
    for step, count in [(0, 1), (1, 1), (2, 2), (40, 1), (3, 1)]:  # in order, ahead, and back
        resident, stream = (jax.device_get(source.at(step, count)) for source in (made["resident"], made["stream"]))
        for i in range(count):
            one, other = made["resident"].batch(resident, i), made["stream"].batch(stream, i)
            np.testing.assert_array_equal(one.index, other.index)
            np.testing.assert_array_equal(one.label, other.label)
            # Two updates of the critic, which looks, and one of the generator, for which nothing is decoded.
            np.testing.assert_array_equal(one.image[:2], other.image[:2])
            assert one.image.any() and 0 < other.label.sum() < 24 and not other.image[2].any()
            shapes.add(one.image.size)
    assert shapes == {3 * 8 * 28 * 28 * 3}
    for source in made.values():
        source.close()


@pytest.mark.parametrize("how", ["shard_map", "pmap"])
def test_a_tpu_keeps_images_in_whole_tiles_and_gets_the_same_batches(shards, how):
    parallel, part = DataParallel(how, 8), opened(shards).split(0.0, minimum=1)[0]
    values = {"seed": 5, "needs_pixels": (True, True), "batch_size": 8}
    here = sources.SOURCES["resident"](part, parallel, **values)
    both = lambda source: jax.device_get(jax.jit(source.batch)(source.at(3, 2), 1))
    expected = both(here)
    with target.tracing_for("tpu"):
        there = sources.SOURCES["resident"](part, parallel, **values)
        feed = there.at(3, 2)
        found = both(there)
    height, width, channels = expected.image.shape[-3:]
    rows = 8 * -(-height * width * channels // 1024)
    assert feed.image.shape == (len(part), rows, 128) and feed.blank.shape == (0, height, width, channels)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("image", "rows"), [((4, 6, 3), 8), ((32, 32, 1), 8), ((16, 16, 4), 8), ((5, 69, 3), 16)])
def test_an_image_packed_for_a_tpu_has_zeros_at_its_end(image, rows):
    images = np.random.default_rng(0).integers(1, 256, (10, *image), dtype=np.uint8)
    assert in_memory.pack(images) is images  # elsewhere nothing is copied
    with target.tracing_for("tpu"):
        packed = in_memory.pack(images)
        assert packed.shape == in_memory.packed_shape(10, image) == (10, rows, 128)
    flat = packed.reshape(10, -1)
    np.testing.assert_array_equal(flat[:, : np.prod(image)], images.reshape(10, -1))
    assert not flat[:, np.prod(image) :].any()


def test_both_sources_may_repeat_a_batch(shards):
    parallel, part = DataParallel("shard_map", 8), opened(shards).split(0.0, minimum=1)[0]
    values = {"seed": 5, "needs_pixels": (True, True), "batch_size": 8, "same_batch_for": 2}
    resident, stream = (sources.SOURCES[name](part, parallel, **values) for name in ("resident", "stream"))
    seen = []
    for step in range(4):
        one, other = (source.batch(jax.device_get(source.at(step, 1)), 0) for source in (resident, stream))
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)
        assert (one.index[0] == one.index[1]).all() and (one.image[0] == one.image[1]).all()
        seen.append(one.index[0].tolist())
    assert seen[0] == seen[1] != seen[2] == seen[3]
    stream.close()


def test_the_stream_reads_ahead_of_the_steps_that_will_come(tiny, monkeypatch):
    class Recorder(decode_pool.InlineDecoder):
        def submit(self, positions, needs_pixels=None):
            submitted.put(positions.tolist())
            return super().submit(positions, needs_pixels)

    submitted = queue.SimpleQueue()
    monkeypatch.setattr(decode_pool, "make_decoder", Recorder)
    training = build_training.build(tiny("gan", data__source="stream"))
    source = training.runner.source
    indices = lambda step: sampler.batch_indices(
        seed=tiny().train.seed, step=step, count=2, shape=(2, 8), size=len(training.train)
    )
    source.at(4, 2)
    assert [submitted.get(timeout=30) for _ in range(3)] == [indices(step).ravel().tolist() for step in (4, 6, 8)]
    # Both dispatches after the next one are asked for already; only the third is new.
    np.testing.assert_array_equal(source.at(6, 2).index, indices(6))
    assert submitted.get(timeout=30) == indices(10).ravel().tolist()
    source.close()
    assert submitted.empty()


def test_draws_of_a_step_are_all_different_images(tiny):
    source = build_training.build(tiny("wgan_gp")).runner.source
    drawn = np.asarray(source.at(0, 1).index).ravel()
    assert len(drawn) == 24 == len(set(drawn.tolist()))


def test_a_damaged_record_stops_the_stream_by_name(tiny, damaged):
    shard = first_shard(damaged)
    whole = bytearray(shard.read_bytes())
    whole[-10] ^= 1
    shard.write_bytes(whole)
    source = build_training.build(tiny("gan", data__source="stream", data__dir=str(damaged))).runner.source
    with pytest.raises(UserError, match="tfrecord-00000-of-00003 is corrupt"):
        for step in range(4):  # an epoch is 50 images, a step 16
            source.at(step, 1)
    source.close()


def test_size_decides_between_the_sources():
    class Device:
        def __init__(self, limit):
            self.memory_stats = lambda: limit and {"bytes_limit": limit}

    assert sources.choose(25, sources.memory_bytes(Device(100))) == "resident"
    assert sources.choose(26, sources.memory_bytes(Device(100))) == "stream"
    assert sources.choose(2 << 30, sources.memory_bytes(Device(None))) == "resident"
    assert sources.choose((2 << 30) + 1, sources.memory_bytes(Device(None))) == "stream"
