"""Train the generator that comes with the install, measure it, and write it with its card.

    python benchmarks/pretrained.py [--workdir=DIR]

Trains configs/quickstart.py on the embedded logos, which takes minutes on two CPU cores. A run that is there already
goes on, or is taken as it is. Writes logogan_jax/config/pretrained: the archive in safetensors with generator and
critic of the last step, and its card in JSON and Markdown.
"""

import importlib.util
import json
import pathlib
import shlex
import tempfile
from typing import Any

import runs
from quality import SAMPLES, metric_cells
from record import ROOT, parser, portable, stamp

from logogan_jax.core import files

TARGET = ROOT / "logogan_jax" / "config" / "pretrained"
NAME = "pretrained.safetensors"
STEP = "--step=newest"  # the run's own few pictures tell the last steps from one another by chance
LICENCE = "CC0-1.0 as the drawings of simple-icons; the trademarks that they show belong to their owners"
_PAGE = """
## How it was made

```sh
{command}
```

It was trained on {processor}, {cores} cores, with {jax}. The data are the drawings that ship with the package,
simple-icons, of which {held_out} were held out. `python benchmarks/pretrained.py` makes it again.

| against the {held_out} held-out logos | KID | precision | recall | copies |
|---|---|---|---|---|
| {samples:,} pictures | {cells} |
| *real logos* | {floor} |

Licence: {licence}.
"""


def measure(workdir: pathlib.Path) -> dict[str, Any]:
    """Return what evaluate says of a run, by all feature networks that are installed."""
    networks = "efflite0,ppocr" if importlib.util.find_spec("rapidocr_onnxruntime") else "efflite0"
    words = ["python", "-m", "logogan_jax.evaluate", f"--workdir={workdir}", STEP, f"--features={networks}"]
    status, last_line = runs.run([*words, f"--num_samples={SAMPLES}", "--real_vs_real"])
    assert status == 0, last_line
    evaluation = json.loads((workdir / "evaluation.json").read_text(encoding="utf-8"))
    evaluation["copies"].pop("images", None)
    return evaluation


def write(workdir: pathlib.Path, words: list[str], evaluation: dict[str, Any]) -> None:
    """Write the archive of a run and its card into the package."""
    summary = runs.summary(workdir)
    made = {
        **stamp(shlex.join(portable(word, workdir) for word in words)),
        "evaluation": evaluation,
        "licence": LICENCE,
    }
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / NAME
        export = ["python", "-m", "logogan_jax.export", f"--workdir={workdir}", STEP, f"--out={out}"]
        status, last_line = runs.run([*export, "--format=safetensors", "--critic"])
        assert status == 0, last_line
        card = json.loads(out.with_name(f"{NAME}.json").read_text(encoding="utf-8"))
        page = out.with_name(f"{NAME}.md").read_text(encoding="utf-8")
        TARGET.mkdir(exist_ok=True)
        with files.atomic_write(TARGET / NAME) as partial:
            partial.write_bytes(out.read_bytes())
    files.write_json(TARGET / f"{NAME}.json", {**card, "made": made})
    with files.atomic_write(TARGET / f"{NAME}.md") as partial:
        partial.write_text(page + section(made, summary["versions"]["jax"]), encoding="utf-8")


def section(made: dict[str, Any], version: str) -> str:
    """Return the part of the page that says how the archive was made and how good it is."""
    evaluation = made["evaluation"]
    copies = evaluation["copies"]
    against = evaluation["against"]
    return _PAGE.format(
        command=made["command"], processor=made["machine"]["processor"],
        cores=made["machine"]["cores"], jax=f"JAX {version}", held_out=copies["held_out"],
        samples=SAMPLES, licence=made["licence"],
        cells=metric_cells(against["held out"], copies["share"]["value"]),
        floor=metric_cells(against["real vs real"], copies["false_alarm_rate"]),
    )  # fmt: skip


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("--workdir", type=pathlib.Path, help="folder of the run (default: a temporary one)")
    args = flags.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        workdir = args.workdir or pathlib.Path(folder) / "quickstart"
        words, _ = runs.train("--config=configs/quickstart.py", workdir=workdir)
        write(workdir, words, measure(workdir))


if __name__ == "__main__":
    main()
