"""Seconds follow from bytes, operations, starts of kernels and exchanges."""

import pytest

from logogan_jax.plan import prediction, targets
from logogan_jax.plan.costs import TRANSFER, WAIT, Kernel

H100, V5E = targets.load()["h100"], targets.load()["v5e"]
GIGABYTE = 10**9


def predict(*kernels, target=H100, steps=1, devices=1, hosts=1):
    return prediction.predict(list(kernels), target, steps=steps, devices=devices, hosts=hosts)


def test_a_kernel_takes_the_longer_of_its_traffic_and_its_products():
    traffic = GIGABYTE / 3352.32e9 / prediction.TRAFFIC_SHARE
    products = 10**12 / 989e12 / prediction.ARITHMETIC_SHARE
    found = predict(Kernel("a", "loop_fusion", GIGABYTE), Kernel("b", "conv", 0, flops=10**12, dtype="bf16", runs=3))
    assert found.traffic == pytest.approx(traffic) and found.arithmetic == pytest.approx(3 * products)
    assert found.launches == pytest.approx(4 * prediction.LAUNCH_SECONDS)
    assert found.step == pytest.approx(traffic + 3 * products + 4 * prediction.LAUNCH_SECONDS)
    both = predict(Kernel("c", "conv", GIGABYTE, flops=10**12, dtype="bf16"))
    assert both.step == pytest.approx(max(traffic, products) + prediction.LAUNCH_SECONDS)


def test_float32_products_take_twice_as_long():
    bf16, f32 = (predict(Kernel("a", "conv", 0, flops=10**12, dtype=dtype)).arithmetic for dtype in ("bf16", "f32"))
    assert f32 == pytest.approx(bf16 * 989 / 494)


def test_a_tpu_takes_the_cycles_that_its_compiler_expects():
    kernel = Kernel("a", "fusion", GIGABYTE, cycles=3_000_000)
    assert predict(kernel, target=V5E, steps=2).step == pytest.approx(3e6 / 1.5e9 / 2)


def test_an_exchange_costs_what_no_kernel_hides():
    start = Kernel("sum", "all-reduce", 0, exchanged_bytes=GIGABYTE, end="done")
    between = Kernel("a", "loop_fusion", GIGABYTE)
    wait = Kernel("done", WAIT, 0, runs=0)
    needed = 2 * 7 / 8 * GIGABYTE / 450e9 / prediction.LINK_SHARE + prediction.EXCHANGE_SECONDS
    hidden = GIGABYTE / 3352.32e9 / prediction.TRAFFIC_SHARE
    for kernels, exposed in (((start, between, wait), needed - hidden), ((start, wait, between), needed)):
        found = predict(*kernels, devices=8)
        assert found.communication == pytest.approx(needed) and found.exposed == pytest.approx(exposed)
    assert predict(start, wait).communication == 0  # of one device


def test_transfers_between_the_memories_of_a_tpu_cost_what_is_waited_for():
    needed = GIGABYTE / V5E.memory_bytes_per_second / prediction.TRAFFIC_SHARE
    cycles = round(needed / 2 * V5E.tpu["clock_rate_ghz"] * 1e9)
    first, second = (Kernel(name, TRANSFER, GIGABYTE, runs=3, end=f"{name}-done") for name in "ab")
    wait = {name: Kernel(f"{name}-done", WAIT, 0, runs=0) for name in "ab"}
    work = [Kernel(f"work-{number}", "fusion", 0, cycles=cycles, runs=3) for number in range(5)]
    for kernels, step in (
        ((first, wait["a"]), needed),
        ((first, work[0], wait["a"]), needed),  # half of it is hidden
        ((first, *work[:3], wait["a"]), 1.5 * needed),  # all of it is
        ((first, second, wait["a"], wait["b"], work[0]), 2.5 * needed),  # one after the other
        ((first, second, *work[:3], wait["a"], wait["b"]), 2 * needed),
        ((first, second, work[0], wait["a"], work[1], wait["b"]), 2 * needed),
        (work, 2.5 * needed),
    ):
        found = predict(*kernels, target=V5E, steps=3)
        assert found.step == pytest.approx(step, rel=1e-6) and found.launches == 0
    assert predict(first, second, target=V5E).traffic == pytest.approx(6 * needed)


def test_hosts_exchange_at_the_rate_of_their_network():
    kernel = Kernel("sum", "all-reduce", 0, exchanged_bytes=GIGABYTE)
    one, two = (predict(kernel, target=targets.load()["a100-40"], devices=8, hosts=hosts) for hosts in (1, 2))
    assert two.communication > 5 * one.communication
    assert two.exposed == two.communication  # nothing is hidden where the program waits at once
