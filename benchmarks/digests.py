"""Record the state in which small runs end, to hold a change of the code against the commit before it.

    python benchmarks/digests.py [--out=FILE]

Trains the quickstart's first 60 steps on the embedded logos, and every objective's narrow run (benchmarks/narrow.py)
for 4 steps on drawings with two labels. Writes for each run `state_sha256` of its summary.json, and `values_sha256`,
which leaves out the names of the arrays: a change that renames a part of the state keeps the second.
"""

import argparse
import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

import jax
import narrow
import numpy as np
import orbax.checkpoint as ocp
from PIL import Image, ImageDraw
from record import ROOT, stamp

QUICKSTART = ("--config=configs/quickstart.py", "--config.train.steps=60")
OBJECTIVE = ("--config.train.steps=4", "--config.train.batch_size=8", "--config.evaluate.every_images=0")


def values_digest(folder):
    """SHA-256 over the dtypes, shapes and bytes of a checkpoint's arrays, whatever their names and order."""
    with ocp.StandardCheckpointer() as reader:
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(reader.restore(folder.absolute() / "default"))]
    each = [hashlib.sha256(f"{leaf.dtype} {leaf.shape}".encode() + leaf.tobytes()).hexdigest() for leaf in leaves]
    return hashlib.sha256("".join(sorted(each)).encode()).hexdigest()


def ending(workdir, *flags):
    """Train a run to its end -> its two digests."""
    command = [sys.executable, "-m", "logogan_jax.main", *flags, f"--workdir={workdir}"]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    summary = json.loads((workdir / "summary.json").read_text())
    values = values_digest(workdir / "checkpoints" / str(summary["steps"]))
    return {"state_sha256": summary["state_sha256"], "values_sha256": values}


def drawings(folder):
    """Shards of sixty squares and discs in a folder."""
    for number in range(60):
        image = Image.new("RGB", (40, 40), "white")
        shape = ImageDraw.Draw(image).ellipse if number % 2 else ImageDraw.Draw(image).rectangle
        shape([2 + number // 10, 3 + number % 10, 36, 37], fill=(number * 4, 200 - number * 3, number % 7 * 30))
        target = folder / "images" / ("disc" if number % 2 else "box")
        target.mkdir(parents=True, exist_ok=True)
        image.save(target / f"{number}.png")
    words = [sys.executable, "-m", "data_prep.write_tfrecords", f"--path={folder / 'images'}", "--size=28"]
    subprocess.run([*words, f"--target_path={folder / 'shards'}"], check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
    return folder / "shards"


def main():
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default=ROOT / "benchmarks" / "results" / "digests-cpu.json", type=pathlib.Path)
    out = parser.parse_args().out
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        data = drawings(folder)
        runs = {"quickstart": ending(folder / "quickstart", *QUICKSTART)}
        for name in narrow.CONFIGS:
            flags = (f"--config=benchmarks/narrow.py:{name}", f"--config.data.dir={data}", *OBJECTIVE)
            runs[name] = ending(folder / name, *flags)
            print(name, runs[name], flush=True)
    versions = {"python": sys.version.split()[0], "jax": jax.__version__}
    out.write_text(json.dumps({**stamp("python benchmarks/digests.py"), "versions": versions, "runs": runs}, indent=2))
    print(out)


if __name__ == "__main__":
    main()
