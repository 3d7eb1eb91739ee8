"""The second start finds what the first one compiled."""

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest
from conftest import ROOT, environment

# What makes the cache of the tests differ from a user's.
OURS = ("JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS")


def started(config, workdir, cache):
    """What benchmarks/startup.py says of one start, with a cache folder."""
    words = ["benchmarks/startup.py", f"--config={config}", f"--workdir={workdir}", f"--began={time.time()!r}"]
    clean = {name: value for name, value in environment(LOGOGAN_CACHE=str(cache)).items() if name not in OURS}
    done = subprocess.run([sys.executable, *words], env=clean, cwd=ROOT, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done
    return json.loads(done.stdout.splitlines()[-1])


def kept(cache):
    """Names and times of change of the compiled programs."""
    found = pathlib.Path(cache / "compiled").glob("*-cache")
    return {path.name: os.stat(path).st_mtime_ns for path in found}


@pytest.mark.slow
def test_a_second_start_compiles_nothing(config_file, tmp_path):
    cache = tmp_path / "cache"
    cold = started(config_file(), tmp_path / "one", cache)
    programs = kept(cache)
    assert cold["programs"]["asked"] > cold["programs"]["found"]
    assert any("multi_step" in name for name in programs) and any("init_state" in name for name in programs)
    warm = started(config_file(), tmp_path / "two", cache)
    assert warm["programs"]["asked"] == warm["programs"]["found"] > 2
    assert kept(cache) == programs
    assert abs(sum(warm["seconds"].values()) - warm["total"]) < 1e-6
    assert min(warm["seconds"].values()) >= 0
