"""A config on a target: memory, counts, time, dollars; and the command that prints them."""

import dataclasses
import importlib.util
import json
import subprocess

import jax
import pytest
from conftest import ROOT, command, environment, failing, on_toy_networks, sgd

from logogan_jax.config import build_training
from logogan_jax.core import target
from logogan_jax.core.errors import UserError
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.plan import estimate, rows, targets, topology
from logogan_jax.plan.estimate import Memory

H100 = targets.load()["h100"]
INFO = DatasetInfo("", 40, {"box": 20, "disc": 20})


@pytest.fixture
def config(tiny, toy_networks):
    """A config that compiles in a second."""
    return sgd(on_toy_networks(tiny("wgan"), "plain"), name="momentum")


@pytest.fixture
def on_cpus(monkeypatch):
    """Let the devices of a target be those of this machine, whose compiler is always there."""
    monkeypatch.setattr(topology, "devices", lambda target, count, hosts: jax.devices()[: count * hosts])


@pytest.mark.slow
def test_an_estimate_has_the_memory_the_loops_and_the_exchanges_of_the_program_that_trains(config, on_cpus):
    config.train.steps_per_dispatch = 2
    one = estimate.estimate(config, INFO, H100, devices=1, hosts=1, dollars_per_hour=3.0)
    assert target.is_cpu()  # again
    made = build_training.build(config, devices=jax.devices()[:1])
    state = sum(leaf.nbytes for leaf in jax.tree.leaves(made.state))
    assert one.memory.state == state
    # The labels, which nobody uses, are no part of the program.
    assert one.memory.data == 40 * 28 * 28 * 3 + 2 * made.model.objective.batches_per_step * 8 * 4
    assert one.memory.temporaries > 0 and one.memory.fits
    assert one.counts.kernels > 50 and one.prediction.communication == 0
    # XLA computes what the jaxpr says, and the gradients of nothing besides.
    assert 0.8 < one.counts.product_flops / one.flops < 1.3
    assert one.dollars == pytest.approx(3.0 * one.hours) and one.hours == pytest.approx(4 * one.prediction.step / 3600)
    two = estimate.estimate(config, INFO, H100, devices=2, hosts=1, dollars_per_hour=0.0)
    assert two.counts.exchanged_bytes > 0 and two.prediction.communication > 0
    assert 0.4 < two.counts.product_flops / one.counts.product_flops < 0.6
    assert two.dollars_per_hour == estimate.table_price(H100, 2)
    row = rows.to_json("toy", two)
    assert json.loads(json.dumps(row)) == row
    assert {"kernels", "bytes", "temporary_bytes", "step_seconds", "fits"} <= row.keys()
    text = rows.describe("toy", two)
    assert "toy on 2 x NVIDIA H100" in text and "exchanges" in text and "exchanges" not in rows.describe("toy", one)


@pytest.mark.slow
def test_images_that_do_not_fit_beside_the_rest_come_with_each_program(config, on_cpus):
    config.train.steps_per_dispatch = 1
    small = H100._replace(memory_bytes=400_000)
    found = estimate.estimate(config, INFO, small, devices=1, hosts=1, dollars_per_hour=1.0)
    # The images of the two updates that look at real ones; all 40 would be more.
    assert 2 * 8 * 28 * 28 * 3 <= found.memory.data < 40 * 28 * 28 * 3 and not found.memory.fits
    assert "it does not fit" in rows.describe("toy", found)


@pytest.mark.slow
def test_where_a_compiler_finds_no_room_smaller_batches_are_tried(config, on_cpus, monkeypatch):
    compile_it = jax.stages.Lowered.compile

    def compile_small(lowered, *args):
        batch = max(leaf.shape[2] for leaf in jax.tree.leaves(lowered.in_avals) if len(leaf.shape) == 3)
        if batch > most:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: XLA:TPU compile permanent error. Ran out of memory")
        return compile_it(lowered, *args)

    monkeypatch.setattr(jax.stages.Lowered, "compile", compile_small)
    config.train.batch_size, most = 8, 4
    found = estimate.estimate(config, INFO, H100, devices=2, hosts=1, dollars_per_hour=1.0)
    assert (found.too_large, found.batch_size, found.fits) == (8, 4, False) and config.train.batch_size == 8
    text = rows.describe("toy", found)
    assert "toy on 2 x NVIDIA H100 SXM 80 GB, batch 4" in text and "batch 8 does not compile for want of memory" in text
    assert not rows.to_json("toy", found)["fits"]
    most = 0
    with pytest.raises(UserError, match=r"config.train.batch_size is 8, and NVIDIA H100 .* has no room for any"):
        estimate.estimate(config, INFO, H100, devices=2, hosts=1, dollars_per_hour=1.0)


def test_the_largest_batch_fills_the_memory_and_is_shared_by_the_devices():
    memory = Memory(state=100, data=20, temporaries=64, usable=100 + 20 + 64 * 3 + 50)
    assert memory.fits and memory.largest_batch(16, 1) == 16 * 3 + 12
    assert memory.largest_batch(16, 8) == 56
    full = dataclasses.replace(memory, usable=110)
    assert not full.fits and full.largest_batch(16, 1) == 0


def test_a_table_begins_with_the_cheapest_run_that_fits():
    made = lambda fits, dollars: estimate.Estimate(
        target=H100, devices=1, hosts=1, batch_size=8, dtype="bfloat16", steps=1000, flops=1,
        memory=Memory(1, 1, 1, 10 if fits else 2), counts=estimate.Counts(1, 1, 1, 1, 0, 0, 0, 0, 0, 0),
        prediction=estimate.Prediction(1.0, 0, 0, 0, 0, 0), compile_seconds=1.0, dollars_per_hour=dollars,
    )  # fmt: skip
    found = [made(False, 1.0), made(True, 0.0), made(True, 9.0), made(True, 2.0)]
    lines = rows.table([rows.to_json("toy", row) for row in found]).splitlines()[2:]
    assert [line.split(" | ")[-1].strip(" |") for line in lines] == ["0.56", "2.50", "?", "0.28"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((), "--target is missing"),
        (("--target=h10",), "--target=h10: it should be all, or one of l4"),
        (("--target=v5e", "--devices=3"), "come in slices of 1, 4, 8"),
    ],
)
def test_a_flag_that_is_wrong_is_told_before_jax_starts(flags, said):
    assert said in failing("--config=configs/quickstart.py", *flags, module="logogan_jax.plan")


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("jax_plugins") is None or importlib.util.find_spec("jax_plugins.xla_cuda13") is None,
    reason="the CUDA compiler, 2.6 GB, is no dependency of the tests",
)
def test_the_command_plans_for_a_gpu_that_is_not_here(shards, tmp_path):
    out = tmp_path / "plan.jsonl"
    flags = ("--config=quickstart", f"--config.data.dir={shards}", "--target=h100", f"--json={out}")
    found = subprocess.run(
        command("logogan_jax.plan", *flags), env=environment(), cwd=ROOT, text=True, capture_output=True, check=True
    )
    assert "quickstart on 1 x NVIDIA H100" in found.stdout and "Predicted, not measured" in found.stdout
    (row,) = map(json.loads, out.read_text().splitlines())
    assert row["config"] == "quickstart" and row["fits"] and row["dtype"] == "bfloat16"
    assert row["library_calls"] > 20 and row["host_transfers"] == 0
