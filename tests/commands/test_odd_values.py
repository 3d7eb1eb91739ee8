"""Odd values of flags end every command in an orderly way: a part of benchmarks/fuzz_doors.py."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT, environment


@pytest.mark.slow
def test_odd_values_end_in_one_line_and_lose_nothing(tmp_path):
    flags = ["--only=upload,split_grid,resize_center,import_arrays", "--share=0.25", f"--report={tmp_path / 'report'}"]
    script = [sys.executable, str(ROOT / "benchmarks" / "fuzz_doors.py"), *flags]
    done = subprocess.run(script, env=environment(), cwd=tmp_path, text=True, capture_output=True, timeout=240)
    assert done.returncode == 0, done.stdout
    report = json.loads((tmp_path / "report").read_text())
    assert report["commands"] > 70 and report["failures"] == [] and report["endings"] == {"ok": report["commands"]}
