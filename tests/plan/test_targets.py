"""Every target is described, and what cannot be compiled for is told in one line."""

import pytest

from logogan_jax.core.errors import UserError
from logogan_jax.plan import estimate, targets

ALL = targets.load()


@pytest.mark.parametrize("name", ALL)
def test_every_target_has_figures_a_price_and_a_compiler(name):
    target = ALL[name]
    assert bool(target.cuda) != bool(target.tpu)
    assert target.usable_bytes < target.memory_bytes
    assert target.flops_per_second["bfloat16"] > target.flops_per_second["float32"]
    if name != "b200":  # which the table of prices does not have
        assert estimate.table_price(target, 1) > 0
    if target.cuda:
        text = targets.cuda_description(target)
        assert text.count("{") == text.count("}") and f"core_count: {target.cuda['core_count']}" in text


def test_the_price_is_that_of_a_machine_with_enough_devices():
    one, eight = (estimate.table_price(ALL["h100"], devices) for devices in (1, 8))
    assert one < eight
    assert estimate.table_price(ALL["v5e"], 8) == 9.6


def test_all_is_every_target_and_an_unknown_one_is_told():
    assert targets.lookup("all") == list(ALL.values())
    with pytest.raises(UserError, match=r"--target=h10: it should be all, or one of l4, a100-40"):
        targets.lookup("h10")


@pytest.mark.parametrize(
    ("name", "devices", "hosts", "said"),
    [
        ("h100", 0, 1, "1 to 8 devices"), ("h100", 9, 1, "1 to 8 devices"), ("h100", 1, 0, "1 or more hosts"),
        ("v5e", 3, 1, "slices of 1, 4, 8"), ("v6e", 8, 3, "slices of 1, 4, 8"),
    ],
)  # fmt: skip
def test_numbers_of_devices_that_no_machine_has_are_refused(name, devices, hosts, said):
    with pytest.raises(UserError, match=said):
        targets.check(ALL[name], devices, hosts)


@pytest.mark.parametrize(("name", "extra"), [("h100", "cuda"), ("v5e", "tpu")])
def test_without_the_compiler_of_a_target_the_command_that_installs_it_is_told(monkeypatch, name, extra):
    monkeypatch.setattr("importlib.util.find_spec", lambda module: None)
    with pytest.raises(UserError, match=rf"--target={name} needs the compiler of .*pip install .*\[{extra}\]"):
        targets.check(ALL[name], 1, 1)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("NVIDIA H100 80GB HBM3", "h100"), ("NVIDIA A100-SXM4-40GB", "a100-40"), ("NVIDIA A100 80GB PCIe", "a100-80"),
        ("NVIDIA L4", "l4"), ("TPU v5 lite", "v5e"), ("TPU v5e", "v5e"), ("TPU v6 lite", "v6e"),
        ("NVIDIA H200", "h200"),
    ],
)  # fmt: skip
def test_a_device_that_is_here_is_known_by_its_kind(kind, name):
    assert targets.of_device(kind).name == name


@pytest.mark.parametrize("kind", ["NVIDIA L40S", "cpu", "TPU v4", "NVIDIA GeForce RTX 4090"])
def test_a_device_that_is_no_target_is_none(kind):
    assert targets.of_device(kind) is None
    assert estimate.step_seconds("", kind, steps=1, devices=1) is None
