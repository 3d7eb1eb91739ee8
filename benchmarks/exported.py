"""Time 100 pictures from exported files on the CPU, each as a whole process that starts, reads, draws and writes PNGs.

    python benchmarks/exported.py

Makes files of untrained generators of the size of dcgan56 and wgan56 in each format, then draws from each of them.
Weights are those of step 0: time does not depend on them. The programs that draw are `logogan_jax.sample --model` for
safetensors, and benchmarks/exported_reader.py for StableHLO and ONNX, which does not import this library. Writes
benchmarks/results/exported-cpu.json.
"""

import importlib.metadata
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

import record

from logogan_jax.config import shipped
from logogan_jax.config.build_model import build_model
from logogan_jax.config.restore import RestoredRun
from logogan_jax.core import files
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.export import __main__ as export
from logogan_jax.export import card, recipes

COUNT = 100
CONFIGS = ("dcgan56", "wgan56")
READER = record.ROOT / "benchmarks" / "exported_reader.py"


def make(name: str, folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Write the files of an untrained generator of a shipped config. Returns {format: path}."""
    config = shipped.get_config(name)
    config.train.dtype = "float32"
    info = DatasetInfo("0" * 64, 1, {})
    model = build_model(config, info)
    run = RestoredRun(folder, config, info, model, model.init_state(), 0)
    recipe = recipes.find(run)
    paths = {}
    for format_, module in export.FORMATS.items():
        path = folder / f"{name}.{format_}"
        facts = module.write(run, path, "cpu", config.model.latent)
        facts["packages"] = module.PACKAGES
        card.write(card.describe(run, path, path.name, format_, recipe, facts), path.with_name(f"{path.name}.json"))
        paths[format_] = path
    return paths


def command(format_: str, path: pathlib.Path, out: pathlib.Path) -> list[str]:
    """Return the command that draws from a file into a new folder."""
    if format_ == "safetensors":
        return [sys.executable, "-m", "logogan_jax.sample", f"--model={path}", f"--num={COUNT}", f"--out={out}"]
    return [sys.executable, str(READER), str(path), str(COUNT), str(out)]


def timed(words: list[str], folder: pathlib.Path) -> dict[str, float]:
    """Run a command without what earlier ones compiled. Returns seconds on the wall and of processors."""
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "LOGOGAN_CACHE": str(folder / "cache")}
    environment["PYTHONPATH"] = str(record.ROOT)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(words, check=True, env=environment, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processors = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_seconds": round(wall, 2), "processor_seconds": round(processors, 2)}


def main() -> None:
    """Run the command."""
    record.parser(__doc__).parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for config in CONFIGS:
            for format_, path in make(config, folder).items():
                load = os.getloadavg()[0]
                out = folder / f"drawn-{config}-{format_}"
                times = timed(command(format_, path, out), folder / f"{config}-{format_}")
                assert len([each for each in out.glob("*.png") if each.stem.isdigit()]) == COUNT, out
                size = path.stat().st_size
                rows.append(
                    {"config": config, "format": format_, "bytes": size, **times, "load_before": round(load, 2)}
                )
                print(files.to_json(rows[-1], None), flush=True)
    versions = {
        package: importlib.metadata.version(package) for package in ("jax", "onnx", "onnxruntime", "safetensors")
    }
    values = {"pictures": COUNT, "versions": {"python": sys.version.split()[0], **versions}, "files": rows}
    path = record.write_record("exported-cpu", "python benchmarks/exported.py", values)
    print(path.relative_to(record.ROOT))


if __name__ == "__main__":
    main()
