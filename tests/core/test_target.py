"""The platform that programs are traced for is asked for in one place."""

import re

import jax
import jax.numpy as jnp
import pytest
from conftest import ROOT

from logogan_jax.core import target


def test_without_a_target_the_device_here_counts():
    assert target.platform() == jax.default_backend() == "cpu" and target.is_cpu()


def test_a_target_holds_for_its_block_even_if_that_fails():
    with pytest.raises(ZeroDivisionError), target.tracing_for("tpu"):
        assert target.platform() == "tpu" and not target.is_cpu()
        _ = 1 / 0
    assert target.is_cpu()


def test_what_was_traced_for_one_platform_is_not_taken_for_another():
    form = jax.jit(lambda x: jnp.sin(x) if target.is_cpu() else jnp.cos(x))
    text = lambda: form.lower(jnp.zeros(3)).as_text()
    assert "sine" in text() and "cosine" not in text()
    with target.tracing_for("gpu"):
        assert "cosine" in text()
    assert "cosine" not in text()


def test_nobody_else_asks_jax_for_its_backend_while_tracing():
    asked = re.compile(r"default_backend\(|\.platform == \"cpu\"")
    folders = ("config", "networks", "objectives", "training", "metrics", "data", "distributed", "core")
    found = {
        path.relative_to(ROOT / "logogan_jax").as_posix()
        for folder in folders
        for path in (ROOT / "logogan_jax" / folder).rglob("*.py")
        if asked.search(path.read_text())
    }
    # The step runner asks whether the devices that it runs on are a CPU, whose duration it estimates.
    assert found == {"core/target.py", "training/step_runner.py"}
