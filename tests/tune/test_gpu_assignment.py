"""Each of several runs has GPUs of its own, or a part of the memory of one."""

import subprocess
import sys

import pytest
from conftest import ROOT, environment

from logogan_jax.core.errors import UserError
from logogan_jax.tune import gpu_assignment


def test_each_job_has_its_own_share_of_the_gpus(monkeypatch):
    monkeypatch.delenv("XLA_PYTHON_CLIENT_MEM_FRACTION", raising=False)
    assert gpu_assignment.gpu_names(2, None) == ["0", "1"] and gpu_assignment.gpu_names(2, "3, GPU-5,") == [
        "3",
        "GPU-5",
    ]
    assert gpu_assignment.assign_gpus([], 2) == [{}, {}]
    four = ["0", "1", "2", "3"]
    assert [one["CUDA_VISIBLE_DEVICES"] for one in gpu_assignment.assign_gpus(four, 4)] == four
    assert [one["CUDA_VISIBLE_DEVICES"] for one in gpu_assignment.assign_gpus(four, 2)] == ["0,1", "2,3"]
    shared = gpu_assignment.assign_gpus(["0", "1"], 4)
    assert [one["CUDA_VISIBLE_DEVICES"] for one in shared] == ["0", "1", "0", "1"]
    assert {one["XLA_PYTHON_CLIENT_MEM_FRACTION"] for one in shared} == {"0.450"}


@pytest.mark.slow
def test_counting_gpus_leaves_jax_alone_here(monkeypatch):
    code = "import sys; from logogan_jax.tune import __main__, gpu_assignment, study; " \
           "print(gpu_assignment.list_gpus(), 'jax' in sys.modules)"  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], env=environment(JAX_PLATFORMS="cpu"), cwd=ROOT, text=True,
                          capture_output=True)  # fmt: skip
    assert done.stdout.strip() == "[] False", done.stderr
    monkeypatch.setenv("JAX_PLATFORMS", "abacus")
    with pytest.raises(UserError, match=r"JAX does not start on this machine: .*abacus"):
        gpu_assignment.list_gpus()
