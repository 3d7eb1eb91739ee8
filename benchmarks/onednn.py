"""Time steps on a CPU with oneDNN and without it, in turn: results/onednn-cpu.json and docs/speed.md.

    python benchmarks/onednn.py [--only=quickstart,dcgan28] [--rounds=2]

Each round starts `python -m logogan_jax.benchmark` twice for each config: as it is, and with what core/compiler.py asks
of XLA left out. It needs a JAX whose CPU backend has oneDNN's convolutions: 0.12.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from typing import Any

import jax
from record import ROOT, parser, rewrite_table, write_record

from logogan_jax.core import compiler

NAME = "onednn-cpu"
BATCHES = {"quickstart": 32, "wgan28": 16, "dcgan28": 16, "wgan56": 16, "dcgan56": 16}
SECONDS = 4  # of each of the benchmark's repeats
WITHOUT = """
import runpy, sys
from logogan_jax.core import compiler
compiler.has_onednn = lambda: False
sys.argv[0] = "logogan_jax.benchmark"
runpy.run_module("logogan_jax.benchmark", run_name="__main__", alter_sys=True)
"""


def steps_per_second(config: str, words: list[str]) -> float:
    """Time the steps of a config by a command that takes the benchmark's flags: the median of its repeats."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "row.json"
        flags = [f"--config=configs/{config}.py", f"--config.train.batch_size={BATCHES[config]}"]
        flags += ["--config.train.dtype=float32", f"--seconds={SECONDS}", f"--json={out}"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        subprocess.run([sys.executable, *words, *flags], check=True, cwd=ROOT, env=environment, capture_output=True)
        return json.loads(out.read_text(encoding="utf-8"))["steps_per_second"]["median"]


def table(rows: dict[str, Any]) -> str:
    """Write the rows as a table of Markdown: medians over the rounds."""
    lines = ["| config | batch | steps/s without | with oneDNN | ratio |", "|---|---:|---:|---:|---:|"]
    for config, row in rows.items():
        without, by_onednn = (statistics.median(row[name]) for name in ("without", "with"))
        lines.append(f"| `{config}` | {row['batch']} | {without:.3g} | {by_onednn:.3g} | {by_onednn / without:.2f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("--only", default="quickstart,wgan28,dcgan28", help="shipped configs, comma-separated")
    flags.add_argument("--rounds", type=int, default=2)
    args = flags.parse_args()
    if not compiler.has_onednn():
        sys.exit(f"error: JAX {jax.__version__} has no convolutions of oneDNN here: JAX 0.12 has, for Python 3.12")
    rows = {name: {"batch": BATCHES[name], "without": [], "with": []} for name in args.only.split(",")}
    for _ in range(args.rounds):
        for config, row in rows.items():
            row["without"].append(steps_per_second(config, ["-c", WITHOUT]))
            row["with"].append(steps_per_second(config, ["-m", "logogan_jax.benchmark"]))
            print(config, row, flush=True)
    write_record(NAME, "python benchmarks/onednn.py", {"jax": jax.__version__, "seconds": SECONDS, "rows": rows})
    rewrite_table("docs/speed.md", NAME, table(rows))


if __name__ == "__main__":
    main()
