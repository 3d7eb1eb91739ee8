"""A training step costs what the record says, and the functions that count it count right."""

import importlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import ROOT, on_toy_networks, sgd
from jax import lax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from logogan_jax.config import build_training
from logogan_jax.plan import step_shapes
from logogan_jax.training import flops

sys.path.insert(0, str(ROOT / "benchmarks"))  # whose scripts are no package
import abstract_step
import counted
import programs

# Compiling all takes minutes: `python benchmarks/counted.py --check` compares the others, too. Several devices have the
# one whose critic is updated several times.
COMPILED, COMPILED_FOR_SEVERAL = ("quickstart",), ("wgan56",)


def assert_as_recorded(row, counts):
    """Fail with the counts that differ from the record, and the command that records them."""
    record = counted.read_record()
    if messages := counted.differences(row, counts, record):
        pytest.fail("\n".join(messages), pytrace=False)
    if counted.versions() not in record["versions"]:
        pytest.skip(f"only what holds for all versions was compared: nothing is recorded for {counted.versions()}")


@pytest.mark.slow
@pytest.mark.parametrize("row", counted.ROWS)
def test_the_program_before_xla_costs_what_is_recorded(row):
    assert_as_recorded(row, counted.count_lowered(row))


@pytest.mark.slow
@pytest.mark.parametrize("row", COMPILED)
def test_the_program_for_one_device_costs_what_is_recorded(row):
    assert_as_recorded(row, counted.count_on_one_device(row))


@pytest.mark.slow
def test_xla_does_not_swap_filters_and_images_in_the_quickstart():
    compiled = counted.compiled_on_one_device("quickstart").as_text()
    assert "convolution" in compiled
    assert "rhs_reversal" not in compiled


@pytest.mark.slow
@pytest.mark.parametrize("row", COMPILED_FOR_SEVERAL)
def test_the_program_for_several_devices_costs_what_is_recorded(row):
    assert_as_recorded(row, counted.count_on_all_devices(row))


@pytest.mark.slow
def test_the_loop_does_between_log_lines_what_is_recorded(toy_networks, tiny, tmp_path):
    assert observed("nothing", tmp_path / "readable")
    config = sgd(on_toy_networks(tiny(), "plain"))
    assert_as_recorded("loop", counted.count_loop(config, tmp_path / "run"))


def test_every_row_is_recorded():
    record = counted.read_record()
    assert set(record["always"]) == set(counted.ROWS)
    assert record["versions"]
    for versions, rows in record["versions"].items():
        assert set(rows) == {*counted.ROWS, "loop"}, versions


@pytest.mark.slow
def test_the_step_is_counted_as_it_trains(tiny):
    config = importlib.import_module("configs.quickstart").get_config()
    config.data.dir = tiny().data.dir
    config.train.batch_size = abstract_step.batch_size(config)
    training = build_training.build(config, devices=jax.devices()[:1])
    step = abstract_step.AbstractStep("quickstart", jax.devices()[:1])
    shapes = lambda tree: jax.tree.map(lambda leaf: (leaf.shape, str(leaf.dtype)), tree)
    assert shapes(training.state) == shapes(step.state)
    real = flops.count_flops(training.runner.program(1), training.state, training.runner.source.at(0, 1))
    assert real == flops.count_flops(step.program, *step.arguments) > 0


# ── messages about differences ────────────────────────────────────────────────────────────


def record(**counts):
    return counted.updated("wgan56", counts, {"always": {}, "versions": {}})


def test_a_difference_names_the_row_both_figures_and_the_command():
    (message,) = counted.differences("wgan56", {"compiled_bytes": 1_100}, record(compiled_bytes=1_000))
    assert message.startswith("wgan56: compiled_bytes was 1,000 and is 1,100 (+10.00%)")
    assert "python benchmarks/counted.py --only=wgan56" in message


def test_counts_after_xla_have_a_tolerance_and_counts_before_it_have_none():
    old = record(compiled_bytes=1_000, lowered_bytes=1_000, model_flops=1_000)
    assert not counted.differences("wgan56", {"compiled_bytes": 1_049}, old)
    assert counted.differences("wgan56", {"compiled_bytes": 949}, old)
    assert counted.differences("wgan56", {"lowered_bytes": 1_001}, old)
    assert counted.differences("wgan56", {"model_flops": 999}, old)


def test_versions_without_a_record_are_held_to_the_limits_and_to_what_follows_from_the_model(monkeypatch):
    old = record(compiled_bytes=1_000, model_flops=1_000)
    monkeypatch.setattr(counted, "versions", lambda: "jax 9.9")
    assert not counted.differences("wgan56", {"compiled_bytes": 9_000, "model_flops": 1_000}, old)
    assert counted.differences("wgan56", {"model_flops": 1_001}, old)
    assert "at most 0" in counted.differences("wgan56", {"doubly_dilated": 1}, old)[0]
    assert counted.differences("wgan56", {"all_reduced_per_gradient": 1.06}, old)


# ── the counting functions ──────────────────────────────────────────────────────────────────────


def test_convolutions_dilated_on_both_sides_are_counted():
    def both(x, w, left, right):
        layout = ("NHWC", "HWIO", "NHWC")
        dilation = {"lhs_dilation": (left, left), "rhs_dilation": (right, right)}
        return lax.conv_general_dilated(x, w, (1, 1), [(0, 0)] * 2, dimension_numbers=layout, **dilation)

    x, w = jnp.ones((2, 9, 9, 3)), jnp.ones((3, 3, 3, 4))
    for left, right, count in ((2, 2, 1), (2, 1, 0), (1, 2, 0)):
        lowered = jax.jit(both, static_argnums=(2, 3)).lower(x, w, left, right)
        assert programs.slow_in_stablehlo(lowered.as_text()) == count
        compiled = lowered.compile().as_text()
        assert "convolution(" in compiled and programs.doubly_dilated_in_hlo(compiled) == count


def test_calls_of_the_host_are_counted():
    quiet = jax.jit(lambda x: x + 1).lower(1.0).compile().as_text()
    shape = jax.ShapeDtypeStruct((), jnp.float32)
    loud = jax.jit(lambda x: jax.pure_callback(np.sin, shape, x) + 1).lower(1.0).compile().as_text()
    assert programs.host_operations(quiet) == 0 < programs.host_operations(loud)


def test_bytes_that_devices_exchange_are_counted():
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])

    def replica(x):
        return lax.psum(x, "data"), lax.psum(x[:, :1].astype(jnp.bfloat16), "data")

    mapped = jax.jit(jax.shard_map(replica, mesh=mesh, in_specs=P("data"), out_specs=P()))
    text = mapped.lower(jnp.ones((2, 6))).compile().as_text()
    # XLA's CPU backend sums what is bfloat16 as float32.
    assert sum(programs.collective_bytes(text)) in (6 * 4 + 2, 6 * 4 + 4)


def test_a_sum_that_is_scattered_and_gathered_again_exchanges_as_much_as_one_that_is_not():
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    both = lambda x: lax.all_gather(2 * lax.psum_scatter(x, "data", tiled=True), "data", tiled=True)
    mapped = jax.jit(jax.shard_map(both, mesh=mesh, in_specs=P("data"), out_specs=P("data")))
    text = mapped.lower(jnp.ones((8, 6))).compile().as_text()
    assert programs.collective_bytes(text) == [4 * 6 * 4 / 2] * 2


def test_bytes_that_are_not_donated_are_counted():
    state = jnp.ones((8,))
    for donated, left in (((0,), 0), ((), 32)):
        compiled = jax.jit(lambda s: s + 1, donate_argnums=donated).lower(state).compile()
        assert step_shapes.nbytes(state) - compiled.memory_analysis().alias_size_in_bytes == left


def observed(extra, folder):
    """What is counted of three dispatches with something beside each; nothing where traces have other names."""
    mesh = jax.make_mesh((2,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    placed = lambda x: jax.device_put(x, NamedSharding(mesh, P()))

    @jax.jit
    def replica(state, feed):
        return state + feed.sum()

    actions = {
        "nothing": lambda state: None,
        "a program": lambda state: state + state,
        "a reading": lambda state: float(state),
        "an array": lambda state: placed(np.ones(5)),
    }
    state = replica(placed(np.float32(0)), placed(np.ones(4, np.float32)))
    actions[extra](state)
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    with jax.profiler.trace(str(folder), profiler_options=options):
        for _ in range(3):
            state = replica(state, placed(np.ones(4, np.float32)))
            actions[extra](state)
        jax.block_until_ready(state)
    (path,) = folder.glob("**/*.xplane.pb")
    return programs.count_between_log_lines(path, dispatches=3) or pytest.skip(
        "the traces of this JAX have other names"
    )


@pytest.mark.parametrize("extra", ["nothing", "a program", "a reading", "an array"])
def test_what_a_loop_does_besides_its_dispatches_is_counted(extra, tmp_path):
    plain = {"programs_per_dispatch": 1.0, "reads_per_dispatch": 0.0, "writes_per_dispatch": 1.0}
    beside = {"a program": ("programs_per_dispatch", 5 / 3), "a reading": ("reads_per_dispatch", 1.0),
              "an array": ("writes_per_dispatch", 2.0)}  # fmt: skip
    assert observed(extra, tmp_path) == plain | dict([beside[extra]] if extra in beside else [])
