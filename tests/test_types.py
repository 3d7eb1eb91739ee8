"""The packages hold what their annotations say, as pyright reads them."""

import collections
import json
import pathlib
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

# Folders that are not clean yet.
NOT_YET = {"logogan_jax", "logogan_jax/metrics"}


def pyright():
    """The path of basedpyright, which the test extra brings, or of pyright; without either the test is skipped."""
    programs = pathlib.Path(sys.executable).parent
    found = shutil.which("basedpyright", path=programs) or shutil.which("pyright", path=programs)
    if not found:
        pytest.skip("basedpyright is not installed")
    return found


@pytest.mark.slow
def test_pyright_finds_nothing():
    done = subprocess.run(
        [pyright(), "--project", ROOT, "--pythonpath", sys.executable, "--outputjson"],
        cwd=ROOT, text=True, capture_output=True,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stdout + done.stderr
    mistakes = collections.defaultdict(list)
    for each in json.loads(done.stdout)["generalDiagnostics"]:
        file, line = pathlib.Path(each["file"]).relative_to(ROOT), each["range"]["start"]["line"] + 1
        mistakes[file.parent.as_posix()].append(f"{file}:{line}: {each['message'].splitlines()[0]}")
    unexpected = [line for folder, lines in mistakes.items() if folder not in NOT_YET for line in lines]
    assert not unexpected, "\n".join(unexpected)
