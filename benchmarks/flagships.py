"""Train the configs that draw marks to their end, measure them by both judges, and draw their pictures.

    python benchmarks/flagships.py --only=mark56 [--runs=DIR]

mark56 starts from the weights of mark28's run, which is trained first where it is not there. A run that is there goes
on, or is taken as it is. Writes benchmarks/results/flagships-cpu.json, docs/NAME.png with 64 pictures that nobody
chose, and the table of docs/quality.md. `--only` keeps the rows of the others.
"""

import json
import pathlib
import shlex
import shutil
import tempfile
from typing import Any

import runs
from record import RESULTS, ROOT, machine, parser, portable, rewrite_table, write_record

CONFIGS = ("mark28", "mark56")
BEFORE = {"mark56": "mark28"}  # whose weights a config starts from
SAMPLES = 2_048
SHOWN = 64
SEED = 3
SHEET_SIDE = 112  # pixels of a picture on the sheet
JUDGES = ("efflite0", "ppocr")
METRICS = ("kid", "recall", "coverage")


def train(name: str, folder: pathlib.Path) -> tuple[str, dict[str, Any]]:
    """Train a config in a folder for all runs, after the one whose weights it needs -> its command and its summary."""
    flags = [f"--config=configs/{name}.py"]
    if before := BEFORE.get(name):
        train(before, folder)
        flags.append(f"--init_from={folder / before}")
    words, summary = runs.train(*flags, workdir=folder / name)
    return shlex.join(portable(word, folder) for word in words), summary


def train_and_measure(name: str, folder: pathlib.Path) -> dict[str, Any]:
    """Return the row of a config, and draw its sheet."""
    command, summary = train(name, folder)
    workdir = folder / name
    evaluate = ["python", "-m", "logogan_jax.evaluate", f"--workdir={workdir}", f"--features={','.join(JUDGES)}"]
    status, last_line = runs.run([*evaluate, f"--num_samples={SAMPLES}", "--real_vs_real"])
    assert status == 0, last_line
    evaluation = json.loads((workdir / "evaluation.json").read_text(encoding="utf-8"))
    evaluation["copies"].pop("images", None)
    config = json.loads((workdir / "config.json").read_text(encoding="utf-8"))["config"]
    draw_sheet(workdir, ROOT / "docs" / f"{name}.png", scale=SHEET_SIDE // config["data"]["size"])
    return {
        "command": command,
        "machine": machine(),
        "seconds": summary["seconds"],
        "config": config | {"data": config["data"] | {"dir": ""}},
        "size": config["data"]["size"],
        "images": summary["steps"] * config["train"]["batch_size"],
        "events": summary["events"],
        "versions": summary["versions"],
        "evaluation": evaluation,
    }


def draw_sheet(workdir: pathlib.Path, path: pathlib.Path, *, scale: int) -> None:
    """Draw the first pictures of the best step, at `scale` times their size."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "drawn"
        words = ["python", "-m", "logogan_jax.sample", f"--workdir={workdir}", f"--num={SHOWN}", f"--seed={SEED}"]
        status, last_line = runs.run([*words, f"--scale={scale}", f"--out={out}"])
        assert status == 0, last_line
        shutil.copyfile(out / "grid.png", path)


def table(rows: dict[str, Any]) -> str:
    """Write the rows as a table of Markdown; each is followed by real logos of its size in place of pictures."""
    titles = [f"{metric} {judge}" for judge in JUDGES for metric in METRICS]
    lines = [f"| config | pixels | minutes | step | {' | '.join(titles)} | copies | overfitting of the critic |"]
    lines.append("|---|---:|---:|---:|" + "---:|" * (len(titles) + 2))
    for name, row in rows.items():
        evaluation = row["evaluation"]
        copies = evaluation["copies"]
        words = f"`{name}`, after `{BEFORE[name]}`" if name in BEFORE else f"`{name}`"
        about = f"| {words} | {row['size']} | {row['seconds'] / 60:.0f} | {evaluation['step']:,} "
        overfitting = evaluation["critic"]["overfitting"]["value"]
        cells = _cells(evaluation["against"]["held out"])
        lines.append(f"{about}| {cells} | {copies['share']['value']:.1%} | {overfitting:.2f} |")
        floor = _cells(evaluation["against"]["real vs real"])
        lines.append(f"| *real logos* | {row['size']} | | | {floor} | {copies['false_alarm_rate']:.1%} | |")
    return "\n".join(lines) + "\n"


def _cells(metrics: dict[str, Any]) -> str:
    values = [metrics[f"{metric}_{judge}"]["value"] for judge in JUDGES for metric in METRICS]
    return " | ".join(f"{value:.3f}" for value in values)


def main() -> None:
    """Run the command."""
    flags = parser(__doc__)
    flags.add_argument("--only", default=",".join(CONFIGS), help="configs, comma-separated")
    flags.add_argument("--runs", type=pathlib.Path, help="folder that keeps the runs")
    args = flags.parse_args()
    path = RESULTS / "flagships-cpu.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only.split(","):
            rows[name] = train_and_measure(name, args.runs or pathlib.Path(folder))
            rows = {config: rows[config] for config in CONFIGS if config in rows}
            write_record("flagships-cpu", "python benchmarks/flagships.py", {"samples": SAMPLES, "rows": rows})
            rewrite_table("docs/quality.md", "flagships-cpu", table(rows))


if __name__ == "__main__":
    main()
