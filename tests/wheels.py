"""Packages that some tests compare with and that the test extra leaves out: where they are, or installed for a session.

PyTorch without CUDA, whose packages take gigabytes; where pip would bring those, the test skips itself.
"""

import fcntl
import importlib.util
import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT
from packaging.requirements import Requirement

TORCH = "torch==2.13.0"
ONLY_WHEELS = ("--quiet", "--only-binary=:all:")


def pip(*arguments, seconds=900):
    """pip of this environment, done."""
    return subprocess.run(
        [sys.executable, "-m", "pip", *arguments, "--disable-pip-version-check"],
        cwd=ROOT, text=True, capture_output=True, timeout=seconds,
    )  # fmt: skip


def uv():
    """The path of uv, of this environment or of the machine, or None."""
    return shutil.which("uv", path=os.pathsep.join([str(pathlib.Path(sys.executable).parent), os.environ["PATH"]]))


def folder(tmp_path_factory, name, *wanted):
    """A folder of this session, of all its workers, into which pip has put what is wanted; or the test is skipped."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with open(base / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (base / name / "whole").exists():
            done = pip("install", *ONLY_WHEELS, "--target", base / name, *wanted)
            if done.returncode:
                pytest.skip(f"pip installs no {' '.join(wanted)} here: {done.stderr.strip().splitlines()[-1:]}")
            (base / name / "whole").touch()
    return base / name


def torch(tmp_path_factory):
    """What PYTHONPATH needs for `import torch`: nothing where it is installed."""
    if importlib.util.find_spec("torch"):
        return ""
    flags = ("--dry-run", "--ignore-installed", "--no-deps", "--report=-", *ONLY_WHEELS)
    try:
        report = pip("install", *flags, TORCH, seconds=120)
    except subprocess.TimeoutExpired:
        pytest.skip(f"pip has not found out within two minutes what {TORCH} needs here")
    if report.returncode:
        pytest.skip(f"pip finds no {TORCH} here: {report.stderr.strip().splitlines()[-1:]}")
    (item,) = json.loads(report.stdout)["install"]
    needs = [Requirement(text) for text in item["metadata"]["requires_dist"]]
    names = [need.name.lower() for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    if any(name.startswith(("nvidia", "cuda", "triton")) for name in names):
        pytest.skip(f"pip would install {TORCH} with CUDA here, which takes gigabytes")
    return str(folder(tmp_path_factory, "torch", TORCH))


def keras(tmp_path_factory):
    """What PYTHONPATH needs for `import keras` on JAX: nothing where it is installed."""
    if importlib.util.find_spec("keras") and importlib.util.find_spec("optree"):
        return ""
    # The rest of what it needs is here, and another numpy would be in the way.
    return str(folder(tmp_path_factory, "keras", "--no-deps", "keras>=3.12", "namex", "optree"))
