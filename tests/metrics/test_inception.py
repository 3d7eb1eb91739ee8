"""Inception-v3 is the network by which FID is measured: torch-fidelity's, number by number."""

import os
import subprocess
import sys
import zlib

import numpy as np
import pytest
import wheels
from conftest import environment
from test_features import picture

from logogan_jax.metrics import features, inception, kid_fid
from logogan_jax.networks import folded_conv


def made(_, name, shape):
    """Numbers in place of trained weights, the same everywhere for a tensor's name and shape."""
    random = np.random.RandomState(zlib.crc32(name.encode()))
    if len(shape) == 4:
        return random.randn(*shape).astype(np.float32) * np.sqrt(2 / np.prod(shape[1:]), dtype=np.float32)
    low, high = (0.5, 1.5) if name.endswith(("bn.weight", "running_var")) else (-0.2, 0.2)
    return random.uniform(low, high, shape).astype(np.float32)


# Every 200th feature of picture(size, shift) from torch-fidelity 0.4.0 under PyTorch 2.13.0: the "2048" of
# FeatureExtractorInceptionV3 whose state dict was filled by made(), buffers without dimensions excepted.
PUBLISHED = {
    (56, 0): [0.07731, 6.5107, 3.99669, 0.43709, 6.82902, 35.60106, 3.96912, 2.9251, 0.80137, 5.74839, 0.19039],
    (300, 9): [0.10345, 8.19097, 5.42457, 0.64457, 9.80466, 44.79008, 4.32838, 3.57746, 0.92892, 7.05324, 0.33834],
}


@pytest.mark.slow
def test_features_are_those_of_torch_fidelity(monkeypatch):
    monkeypatch.setattr(folded_conv, "tensor", made)
    network = features.FeatureNetwork("inception", "", inception.fold({}), features._inception, chunk=1)
    assert len(network.weights) == 94
    for (size, shift), expected in PUBLISHED.items():
        found = features.embed(network, picture(size, shift)[None])
        assert found.head.shape == (1, 2048) and found.head.dtype == np.float32
        np.testing.assert_array_equal(found.taps, found.head)
        np.testing.assert_allclose(found.head[0, ::200], expected, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("height, width, side", [(3, 5, 7), (9, 4, 6), (1, 7, 7), (40, 41, 19)])
def test_images_are_resized_as_tensorflow_1_did(height, width, side):
    images = np.random.default_rng(0).uniform(0, 255, (2, height, width, 3))
    expected = np.empty((2, side, side, 3))
    for i, j in np.ndindex(side, side):
        row, column = i * height / side, j * width / side
        top, left = int(row), int(column)
        below, right = min(top + 1, height - 1), min(left + 1, width - 1)
        upper = images[:, top, left] * (1 - column + left) + images[:, top, right] * (column - left)
        lower = images[:, below, left] * (1 - column + left) + images[:, below, right] * (column - left)
        expected[:, i, j] = upper * (1 - row + top) + lower * (row - top)
    found = inception.resized(images.astype(np.float32), side)
    np.testing.assert_allclose(found, expected, atol=1e-3)  # float32, as in TensorFlow


def test_the_last_pools_leave_their_padding_out():
    x = np.random.default_rng(0).normal(-5, 1, (1, 4, 5, 2))
    for pool, reduce in ((inception._average, np.mean), (inception._largest, np.max)):
        expected = np.empty_like(x)
        for i, j in np.ndindex(4, 5):
            window = x[:, max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
            expected[:, i, j] = reduce(window, axis=(1, 2))
        np.testing.assert_allclose(pool(x.astype(np.float32)), expected, rtol=1e-5)


def test_a_network_with_a_broken_weight_is_refused(monkeypatch):
    def broken(_, name, shape):
        return made(_, name, shape) * (np.nan if name == "Mixed_5b.branch1x1.bn.bias" else 1)

    monkeypatch.setattr(folded_conv, "tensor", broken)
    with pytest.raises(ValueError, match=r"Mixed_5b.branch1x1.conv is not finite"):
        inception.fold({})


# ── beside torch-fidelity itself ────────────────────────────────────────────────────────────

THEIRS = """
import sys, unittest.mock
import numpy as np, torch

# What its other feature extractors and its command need, and this one does not.
for name in ("torchvision", "torchvision.datasets", "torchvision.transforms", "torchvision.transforms.functional",
             "tqdm"):
    sys.modules[name] = unittest.mock.MagicMock()

from torch_fidelity import metric_fid
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

folder = sys.argv[1]
torch.manual_seed(0)


class Random(FeatureExtractorInceptionV3):
    def load_state_dict(self, nothing):
        for module in self.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight)
            if isinstance(module, torch.nn.BatchNorm2d):
                ranges = {"weight": (0.5, 1.5), "bias": (-0.2, 0.2), "running_mean": (-0.2, 0.2),
                          "running_var": (0.5, 1.5)}
                for name, (low, high) in ranges.items():
                    getattr(module, name).data.uniform_(low, high)


torch.save({}, folder + "/nothing.pth")
network = Random("inception", ["2048"], feature_extractor_weights_path=folder + "/nothing.pth")
torch.save(network.state_dict(), folder + "/weights.pth")
torch.save(network.state_dict(), folder + "/old.pth", _use_new_zipfile_serialization=False)
found = {}
for name, pixels in np.load(folder + "/pixels.npz").items():
    channels_first = torch.tensor(pixels).permute(0, 3, 1, 2).contiguous()
    found[name] = torch.cat([network(part)[0] for part in channels_first.split(4)])
statistics = [metric_fid.fid_features_to_statistics(found[name]) for name in ("real", "fake")]
found["fid"] = metric_fid.fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]
np.savez(folder + "/found.npz", **found)
"""


@pytest.fixture(scope="module")
def torch_fidelity(tmp_path_factory):
    """What PYTHONPATH needs for torch-fidelity and PyTorch."""
    torch = wheels.torch(tmp_path_factory)
    theirs = wheels.folder(tmp_path_factory, "torch-fidelity", "--no-deps", "torch-fidelity==0.4.0")
    return os.pathsep.join(filter(None, [str(theirs), torch]))


@pytest.mark.slow
def test_features_and_fid_are_torch_fidelitys_with_random_weights(torch_fidelity, tmp_path):
    random = np.random.default_rng(0)
    shapes = {"real": (24, 31, 31), "fake": (24, 31, 31), "small": (2, 17, 53), "same": (2, 299, 299)}
    shapes["large"] = (2, 401, 330)
    pixels = {name: random.integers(0, 256, (*shape, 3), dtype=np.uint8) for name, shape in shapes.items()}
    pixels["fake"] //= 2
    np.savez(tmp_path / "pixels.npz", **pixels)
    code = [sys.executable, "-c", THEIRS, tmp_path]
    subprocess.run(code, env=environment(PYTHONPATH=torch_fidelity), cwd=tmp_path, check=True, timeout=900)
    theirs = np.load(tmp_path / "found.npz")
    network = features.load_network(f"inception:{tmp_path}/weights.pth")
    old = features.load_network(f"inception:{tmp_path}/old.pth")
    for name, layer in network.weights.items():
        for ours, same in zip(layer, old.weights[name], strict=True):
            np.testing.assert_array_equal(ours, same)
    ours = {name: features.embed(network, images).head for name, images in pixels.items()}
    for name, found in ours.items():
        apart = np.abs(theirs[name] - theirs[name].mean(0)).max()
        assert np.abs(found - theirs[name]).max() < 1e-3 * apart, name
        np.testing.assert_allclose(found, theirs[name], rtol=1e-5, atol=1e-5 * theirs[name].max())
    fid = kid_fid.frechet_distance(ours["real"], ours["fake"]).value
    np.testing.assert_allclose(fid, theirs["fid"], rtol=1e-3)
