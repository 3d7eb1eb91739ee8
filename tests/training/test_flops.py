"""The count of arithmetic: by hand for small functions and for the walkthrough's WGAN-GP, whatever form computes it."""

import functools
import importlib

import jax
import jax.numpy as jnp
import pytest
from conftest import on_toy_networks
from jax import lax
from jax.sharding import AxisType, PartitionSpec

from logogan_jax.config import build_model, build_training
from logogan_jax.config.defaults import block
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.data.in_memory import Feed, InMemorySource
from logogan_jax.distributed import data_parallel
from logogan_jax.networks import conv, conv_geometry
from logogan_jax.training import flops
from logogan_jax.training.step_runner import make_multi_step
from logogan_jax.training.train_step import make_train_step

HUGE = 1 << 20  # nobody could compute with it


def shape(*sides, dtype="float32"):
    return jax.ShapeDtypeStruct(sides, dtype)


# ── small functions ─────────────────────────────────────────────────────────────────────────


def perceptron(x, first, second):
    return jnp.tanh(x @ first) @ second


def test_two_for_each_multiply_add_and_nothing_is_computed():
    counted = flops.count_flops(perceptron, shape(HUGE, 3), shape(3, HUGE), shape(HUGE, 7))
    assert counted == 2 * HUGE * HUGE * (3 + 7)
    batched = functools.partial(jnp.einsum, "bij,bjk->bik")
    assert flops.count_flops(batched, shape(5, 2, 3), shape(5, 3, 4)) == 2 * 5 * 2 * 3 * 4


def test_the_gradient_that_nobody_asks_for_does_not_count():
    loss = lambda *given: perceptron(*given).sum()
    given = shape(10, 3), shape(3, 20), shape(20, 7)
    forward, inputs = 2 * 10 * 3 * 20, 2 * 10 * 20 * 7
    # What comes out last is summed up: its value is asked of nobody, so its product is not computed.
    assert flops.count_flops(jax.grad(loss, (1, 2)), *given) == forward + inputs + inputs + forward
    assert flops.count_flops(jax.grad(loss, (0, 1, 2)), *given) == forward + inputs + inputs + 2 * forward
    assert flops.count_flops(jax.grad(loss, 2), *given) == forward + inputs


def test_calls_of_every_sort_are_looked_into():
    once = 2 * 4 * 4 * 4
    x = shape(4, 4)
    double = lambda f: lambda x: f(x) + f(x.T)
    remembered = jax.custom_vjp(lambda x: x @ x)
    remembered.defvjp(lambda x: (x @ x, x), lambda x, g: (g @ x.T + x.T @ g,))
    tangent = jax.custom_jvp(lambda x: x @ x)
    tangent.defjvp(lambda x, t: (x[0] @ x[0], t[0]))
    for call in (jax.jit, jax.checkpoint, lambda f: f):
        assert flops.count_flops(double(call(lambda x: x @ x)), x) == 2 * once
        assert flops.count_flops(lambda x, call=call: call(lambda x: (x @ x, x + 1))(x)[1], x) == 0
    assert flops.count_flops(double(remembered), x) == flops.count_flops(double(tangent), x) == 2 * once
    assert flops.count_flops(jax.grad(lambda x: remembered(x).sum()), x) == 2 * once


def test_a_scan_counts_its_length_and_what_its_last_turn_needs():
    def turns(x, w, *, length, last):
        """Two chains, of which the second feeds the first; and a third that nobody looks at."""

        def body(carry, i):
            a, b, c = carry
            return (a + b * i, b @ w, c @ c @ c), a * i

        (a, b, c), _ = lax.scan(body, (x, x, x), jnp.arange(float(length)))
        return {"a": a, "b": b, "c": c}[last]

    once = 2 * 4 * 4 * 4
    for last, products in (("a", 1), ("b", 1), ("c", 2)):
        function = functools.partial(turns, length=6, last=last)
        assert flops.count_flops(function, shape(4, 4), shape(4, 4)) == 6 * products * once, last


def test_of_a_condition_the_largest_branch_counts():
    choose = lambda which, x: lax.switch(which, [lambda x: x, lambda x: x @ x @ x, lambda x: x @ x], x)
    assert flops.count_flops(choose, shape(dtype="int32"), shape(4, 4)) == 2 * 2 * 4 * 4 * 4


def test_a_loop_whose_length_nobody_knows_is_refused():
    endless = lambda x: lax.while_loop(lambda x: x.sum() < 1, lambda x: x @ x, x)
    with pytest.raises(ValueError, match="while"):
        flops.count_flops(endless, shape(4, 4))
    assert flops.count_flops(lambda x: lax.while_loop(lambda x: x.sum() < 1, lambda x: x + 1, x), shape(4, 4)) == 0


def test_every_device_counts():
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,))
    rows = PartitionSpec("data")
    own = jax.shard_map(lambda x, w: x @ w, mesh=mesh, in_specs=(rows, PartitionSpec()), out_specs=rows)
    for function in (own, jnp.matmul):
        assert flops.count_flops(function, shape(8, 3), shape(3, 5)) == 2 * 8 * 3 * 5


def test_a_convolution_of_any_sort():
    dims = conv_geometry.NHWC
    plain = lambda x, w, **more: lax.conv_general_dilated(x, w, (2, 2), "SAME", dimension_numbers=dims, **more)
    assert flops.count_flops(plain, shape(3, 8, 8, 6), shape(5, 5, 6, 9)) == 2 * 3 * 4 * 4 * 9 * 5 * 5 * 6
    grouped = functools.partial(plain, feature_group_count=3)
    assert flops.count_flops(grouped, shape(3, 8, 8, 6), shape(5, 5, 2, 9)) == 2 * 3 * 4 * 4 * 9 * 5 * 5 * 2
    # Every pixel of a transposed convolution meets every tap once; no zeros are multiplied.
    up = lambda y, w: lax.conv_transpose(y, w, (2, 2), "SAME", dimension_numbers=dims)
    assert flops.count_flops(up, shape(3, 8, 8, 6), shape(4, 4, 6, 9)) == 2 * 3 * 8 * 8 * 6 * 4 * 4 * 9


@pytest.mark.parametrize(("side", "kernel", "stride"), [(8, 4, 2), (8, 5, 1), (3, 4, 1), (9, 3, 2)])
def test_the_three_maps_count_alike_whatever_computes_them(side, kernel, stride):
    geometry = conv_geometry.same((side, side), kernel, stride)
    x, w, y = shape(2, side, side, 3), shape(kernel, kernel, 3, 4), shape(2, *geometry.out_size, 4)
    work = 2 * 2 * geometry.out_size[0] * geometry.out_size[1] * 4 * kernel * kernel * 3
    for function, *given in ((conv.conv, x, w), (conv.conv_transpose, y, w), (conv.filter_grad, x, y)):
        assert flops.count_flops(lambda a, b, function=function: function(a, b, geometry), *given) == work, function
        # Each is linear in both, so its gradients are the two others.
        loss = lambda a, b, function=function: (function(a, b, geometry) ** 2).sum()
        assert flops.count_flops(jax.grad(loss, (0, 1)), *given) == 3 * work, function


# ── a step ──────────────────────────────────────────────────────────────────────────────────


def step_flops(config, devices, count=1, unroll=True):
    """Operations of `count` steps of a config, without data: only shapes of it exist."""
    config = build_training.resolve(config)
    size = 64
    side = config.data.size
    batch = config.train.batch_size
    model = build_model.build_model(config, DatasetInfo("", size, {}))
    state = jax.eval_shape(model.init_state)
    parallel = data_parallel.DataParallel(config.train.parallel, batch, devices)
    shares = dict.fromkeys(state.params, data_parallel.REPLICATED)
    step = make_train_step(model, lambda _, images: images, shares, ema_images=config.train.ema_images)
    multi_step = make_multi_step(step, InMemorySource, count, unroll=unroll)
    program = parallel.map_and_jit(multi_step, InMemorySource.specs)
    rows = (len(devices), batch // len(devices)) if config.train.parallel == "pmap" else (batch,)
    index = shape(count, model.objective.batches_per_step, *rows, dtype="int32")
    images = shape(size, side, side, 3, dtype="uint8"), shape(0, side, side, 3, dtype="uint8")
    feed = Feed(*images, shape(size, dtype="int32"), index)
    return flops.count_flops(program, state, feed)


def walkthrough(**changes):
    config = importlib.import_module("configs.wgan56").get_config()
    config.update_from_flattened_dict({key.replace("__", "."): value for key, value in changes.items()})
    return config


@pytest.mark.slow
def test_a_step_of_the_walkthroughs_wgan_gp_is_the_sum_by_hand():
    """Forward passes by layer; then how often each update runs them."""
    first, second, third = 56 * 56 * 16 * 3 * 64, 27 * 27 * 16 * 64 * 128, 14 * 14 * 16 * 128 * 128
    hidden, head = 14 * 14 * 128 * 1024, 1024
    critic = first + second + third + hidden + head
    stem, project = 100 * 1024, 1024 * 7 * 7 * 128
    ups = 7 * 7 * 16 * 128 * 128 + 14 * 14 * 16 * 64 * 64 + 28 * 28 * 16 * 64 * 64
    generator = stem + project + ups + 14 * 14 * 16 * 128 * 64 + 56 * 56 * 16 * 64 * 3
    assert round(2 * generator / 1e6) == 238 and round(2 * critic / 1e6) in (364, 365)
    # Real and fake images forward, back to the activations and to the weights; nobody asks for the images' gradient.
    scores = 2 * (3 * critic - first)
    # Forward, back to the images; of these two, whose activations have no second derivative, only the way back is
    # differentiated: again to the activations (above the last there are none) and to the weights. Nobody asks for
    # the score itself.
    penalty = 4 * critic - 2 * head
    critic_update = generator + scores + penalty
    # Nobody asks for the gradient of the latents.
    generator_update = 3 * generator - stem + 2 * critic
    batch, updates = 2, 2
    counted = step_flops(walkthrough(train__batch_size=batch, objective__critic_updates=updates), jax.devices()[:1])
    assert counted == 2 * batch * (updates * critic_update + generator_update)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["shard_map", "pmap"])
def test_devices_and_steps_of_a_program_share_and_add_up_the_work(toy_networks, how):
    config = on_toy_networks(walkthrough(data__size=28, train__batch_size=4, train__parallel=how), "plain")
    config.objective = block(name="gan", critic_updates=1)
    one = step_flops(config, jax.devices()[:1])
    assert one > 0
    assert step_flops(config, jax.devices()[:4]) == one
    assert step_flops(config, jax.devices()[:2], count=3) == 3 * one


@pytest.mark.slow
def test_a_scanned_step_is_the_unrolled_one(toy_networks):
    config = walkthrough(data__size=28, train__batch_size=4, objective__critic_updates=2)
    on_toy_networks(config, "plain")
    unrolled = step_flops(config, jax.devices()[:1], count=2)
    assert step_flops(config, jax.devices()[:1], count=2, unroll=False) == unrolled
