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
    there = environment(LOGOGAN_CACHE=str(cache), PYTHONPATH=f"{ROOT}{os.pathsep}{ROOT / 'tests'}")
    clean = {name: value for name, value in there.items() if name not in OURS}
    done = subprocess.run([sys.executable, *words], env=clean, cwd=ROOT, text=True, capture_output=True, timeout=300)
    assert done.returncode == 0, done
    return json.loads(done.stdout.splitlines()[-1])


def kept(cache):
    """Names and times of change of the compiled programs."""
    found = pathlib.Path(cache / "compiled").glob("*-cache")
    return {path.name: os.stat(path).st_mtime_ns for path in found}


CONFIG = """
import toy_config

def get_config():
    config = toy_config.get_config()
    config.data.dir = {shards!r}
    return config
"""


@pytest.mark.slow
def test_a_second_start_compiles_nothing(shards, tmp_path):
    cache, config = tmp_path / "cache", tmp_path / "toy.py"
    config.write_text(CONFIG.format(shards=str(shards)))
    cold = started(config, tmp_path / "one", cache)
    programs = kept(cache)
    assert cold["programs"]["asked"] > cold["programs"]["found"]
    assert any("multi_step" in name for name in programs) and any("init_state" in name for name in programs)
    warm = started(config, tmp_path / "two", cache)
    assert warm["programs"]["asked"] == warm["programs"]["found"] > 2
    assert kept(cache) == programs
    assert abs(sum(warm["seconds"].values()) - warm["total"]) < 1e-6
    assert min(warm["seconds"].values()) >= 0
