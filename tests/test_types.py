"""The packages hold what their annotations say, as pyright reads them."""

import json
import pathlib
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT


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
    mistakes = [
        f"{each['file']}:{each['range']['start']['line'] + 1}: {each['message'].splitlines()[0]}"
        for each in json.loads(done.stdout)["generalDiagnostics"]
    ]
    assert not mistakes, "\n".join(mistakes)
