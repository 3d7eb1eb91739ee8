"""Record digests of the states in which small runs end, to compare the code before and after a change.

    python benchmarks/digests.py [--out=FILE]

Trains the quickstart's first 60 steps on the embedded logos, and the narrow run of every objective (narrow.py) for 4
steps on drawings with two labels. For each run it writes `state_sha256` of its summary.json, and `values_sha256`, which
ignores the names of the arrays: a change that only renames a part of the state keeps the second digest.
"""

import hashlib
import pathlib
import sys
import tempfile

import jax
import narrow
import numpy as np
import orbax.checkpoint as ocp
import runs
from record import RESULTS, parser, stamp

from logogan_jax.core import files

# As it was in the first edition: pixels in all colours, and no penalty.
QUICKSTART = (
    "--config=configs/quickstart.py", "--config.mark.inks=0", "--config.objective.r1=0.0", "--config.objective.lazy=1",
    "--config.train.ema_images=5000", "--config.train.steps=60",
)  # fmt: skip
OBJECTIVE = ("--config.train.steps=4", "--config.train.batch_size=8", "--config.evaluate.every_images=0")


def values_digest(checkpoint: pathlib.Path) -> str:
    """Return SHA-256 over dtypes, shapes and bytes of a checkpoint's arrays, whatever their names and order are."""
    with ocp.StandardCheckpointer() as reader:
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(reader.restore(checkpoint.absolute() / "default"))]
    digests = [hashlib.sha256(f"{leaf.dtype} {leaf.shape}".encode() + leaf.tobytes()).hexdigest() for leaf in leaves]
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()


def final_digests(workdir: pathlib.Path, *flags: str) -> dict[str, str]:
    """Train a run to its end and return the two digests of its last state."""
    _, summary = runs.train(*flags, workdir=workdir)
    values = values_digest(workdir / "checkpoints" / str(summary["steps"]))
    return {"state_sha256": summary["state_sha256"], "values_sha256": values}


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("--out", default=RESULTS / "digests-cpu.json", type=pathlib.Path, help="JSON file to write")
    out = flags.parse_args().out
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        data = runs.drawings(folder)
        digests = {"quickstart": final_digests(folder / "quickstart", *QUICKSTART)}
        for objective in narrow.CONFIGS:
            config = (f"--config=benchmarks/narrow.py:{objective}", f"--config.data.dir={data}")
            digests[objective] = final_digests(folder / objective, *config, *OBJECTIVE)
            print(objective, digests[objective], flush=True)
    versions = {"python": sys.version.split()[0], "jax": jax.__version__}
    files.write_json(out, {**stamp("python benchmarks/digests.py"), "versions": versions, "runs": digests})
    print(out)


if __name__ == "__main__":
    main()
