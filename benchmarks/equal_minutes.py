"""Train ours and others for the same processor minutes on the same logos, and judge them alike: results/equal-minutes.

    taskset -c 0 python benchmarks/equal_minutes.py NAME [NAME ...] --folder=DIR [--torch_python=PYTHON]

A NAME is one of PEERS. Each trains on one core, without evaluations, until its process has used 10, 30 and 60 minutes
of the processor, compilation included. Then 2,048 pictures are drawn and compared with the held-out logos, by both
judges, and copies of the training logos are looked for. Writes benchmarks/results/equal-minutes/NAME.json, the sheet
docs/equal-minutes/NAME.png, and the table of docs/quality.md. The name `reals` measures logos trained on in place of
pictures. `--torch_python` is an interpreter with lightweight-gan, for the peer of this name.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import record
from PIL import Image

from logogan_jax import __version__, load
from logogan_jax.config import build_training, default_dataset, measuring, restore, shipped
from logogan_jax.config.restore import Images
from logogan_jax.core import files, images
from logogan_jax.metrics import evaluator, features

MINUTES = (10, 30, 60)  # of the processor
SAMPLES = 2_048
SHOWN = 8  # pictures along a side of a sheet
SEED = 3
JUDGES = ("efflite0", "ppocr")
METRICS = ("kid_efflite0", "recall_efflite0", "coverage_efflite0", "kid_ppocr", "recall_ppocr")
RECORDS = record.RESULTS / "equal-minutes"
SHEETS = record.ROOT / "docs" / "equal-minutes"


class Peer(NamedTuple):
    """What is trained.

    Attributes:
        words: its name in the table.
        size: the side in pixels at which its pictures are judged.
        flags: of logogan_jax.main; empty for lightweight-gan.
        looks_through: a judge through which its critic looks, which may not judge it.
    """

    words: str
    size: int
    flags: tuple[str, ...] = ()
    looks_through: str = ""


def _narrow(name: str) -> tuple[str, ...]:
    return (f"--config=benchmarks/narrow.py:{name}", "--config.train.steps=40_000")


PEERS = {
    "quickstart": Peer("**`quickstart`**, 3,000 steps", 28, ("--config=configs/quickstart.py",)),
    "r3gan": Peer(
        "R3GAN, narrow", 28,
        ("--config=configs/r3gan56.py", "--config.data.size=28", "--config.model.width=16",
         "--config.train.batch_size=32", "--config.optimizer.generator.learning_rate=4e-4",
         "--config.optimizer.critic.learning_rate=4e-4"),
    ),
    "projected": Peer("Projected GAN, narrow", 28, _narrow("projected"), "efflite0"),
    "mark56": Peer("**`mark56`**", 56, ("--config=configs/mark56.py",)),
    "walkthrough_dcgan": Peer("the walkthrough's DCGAN", 56, ("--config=configs/walkthrough_dcgan56.py",)),
    "walkthrough_wgan": Peer("the walkthrough's WGAN-GP", 56, ("--config=configs/walkthrough_wgan56.py",)),
    "lightweight_gan": Peer("lightweight-gan 1.2.1, narrow", 56),
}  # fmt: skip
LIGHTWEIGHT_SIZE = 64  # it takes powers of two
REALS = {28: "reals-28", 56: "reals-56"}


# ── the logos ───────────────────────────────────────────────────────────────────────────────


def logos(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the embedded logos that the configs train on, and those held out, each uint8[n, size, size, 3]."""
    config = shipped.get_config("quickstart")
    config.data.size = size
    default_dataset.set_default_dataset(config)
    dataset = build_training.open_dataset(config)
    train, held_out = dataset.split(config.data.held_out, evaluator.MIN_HELD_OUT)
    return train.pixels(), held_out.pixels()


def resize(pixels: np.ndarray, size: int) -> np.ndarray:
    """Resize pictures uint8[n, H, W, 3] to a side; those that have it stay as they are."""
    if pixels.shape[1] == size:
        return pixels
    resized = (Image.fromarray(picture).resize((size, size), Image.Resampling.LANCZOS) for picture in pixels)
    return np.stack([np.asarray(picture) for picture in resized])


# ── training ────────────────────────────────────────────────────────────────────────────────


def processor_seconds(pid: int) -> float:
    """Return the seconds of the processor that a process has used, all threads together; Linux."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def train_for(words: list[str], seconds: float) -> float:
    """Run a training until it has used some seconds of the processor, and stop it; return how many it used."""
    with subprocess.Popen(words, cwd=record.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        used, stopped = 0.0, False
        while process.poll() is None:
            used = processor_seconds(process.pid)
            if used >= seconds and not stopped:
                process.send_signal(signal.SIGTERM)  # the run saves its state and ends
                stopped = True
            time.sleep(0.2)
        assert process.stderr is not None
        if process.returncode and not stopped:
            sys.exit(f"{' '.join(words)}:\n{process.stderr.read().decode()[-2000:]}")
        return used


def train_ours(peer: Peer, folder: pathlib.Path) -> Iterator[tuple[int, int, np.ndarray]]:
    """Train a config of ours; yield minutes, steps, and pictures uint8[n, H, W, 3] for each of MINUTES.

    A run that comes to its end is not yielded twice.
    """
    flags = ["--config.evaluate.every_images=0", f"--workdir={folder}"]
    words = [sys.executable, "-m", "logogan_jax.main", *peer.flags, *flags]
    used, done = 0.0, 0
    for minutes in MINUTES:
        used += train_for(words, 60 * minutes - used)
        run = load(folder, step="newest")
        if run.step == done:
            return
        done = run.step
        yield minutes, done, run.sample(SAMPLES, seed=SEED)


def train_lightweight(peer: Peer, folder: pathlib.Path, python: str) -> Iterator[tuple[int, int, np.ndarray]]:
    """Train lightweight-gan on PNG files; yield as train_ours does."""
    source = folder / "images"
    source.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(logos(LIGHTWEIGHT_SIZE)[0]):
        Image.fromarray(picture).save(source / f"{number:05d}.png")
    script = record.ROOT / "benchmarks" / "peer_lightweight.py"
    words = [f"--images={source}", f"--size={LIGHTWEIGHT_SIZE}", f"--minutes={','.join(map(str, MINUTES))}"]
    subprocess.run([python, script, *words, f"--out={folder}", f"--num={SAMPLES}"], check=True)
    about = json.loads((folder / "about.json").read_text(encoding="utf-8"))
    for minutes in MINUTES:
        yield minutes, about["steps"][str(minutes)], resize(np.load(folder / f"{minutes}.npy"), peer.size)


# ── judging ─────────────────────────────────────────────────────────────────────────────────


class Judge:
    """Compares pictures of a size with the held-out logos, and looks for copies of those trained on."""

    def __init__(self, size: int):
        self.networks = measuring.load_networks(JUDGES)
        self.train, self.held_out = logos(size)
        self.embedded = {
            network.name: [Images(each, features.embed(network, each)) for each in (self.train, self.held_out)]
            for network in self.networks
        }

    def measure(self, pixels: np.ndarray, left_out: str = "") -> dict[str, Any]:
        """Return {"against": {metric: Estimate}, "copies": {"share": float, "false_alarm_rate": float}}."""
        column: dict[str, Any] = {}
        copies = None
        for network in self.networks:
            if network.name == left_out:
                continue
            ours = Images(pixels, features.embed(network, pixels))
            train, held_out = self.embedded[network.name]
            column |= measuring.measure(ours, held_out, network)
            if copies is None:
                detector = restore.memorization_detector(train, held_out)
                copied = detector.find(*ours).copied
                copies = {"share": float(copied.mean()), "false_alarm_rate": detector.false_alarm_rate}
        return {"against": column, "copies": copies}


def draw_sheet(path: pathlib.Path, pictures: list[np.ndarray]) -> None:
    """Write the first pictures of each array uint8[n, H, W, 3] side by side, in 256 colours."""
    gap = 8
    grids = [images.make_grid(pixels[: SHOWN**2], columns=SHOWN) for pixels in pictures]
    height = grids[0].shape[0]
    parts = [part for grid in grids for part in (grid, np.full((height, gap, 3), 255, np.uint8))][:-1]
    path.parent.mkdir(exist_ok=True)
    picture = Image.fromarray(np.concatenate(parts, axis=1)).quantize(256)
    with files.atomic_write(path) as partial:
        picture.save(partial, format="PNG", optimize=True)


# ── the page ────────────────────────────────────────────────────────────────────────────────


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Write the records as a table of Markdown, by size and then by PEERS."""
    lines = [f"| pixels | what | minutes | steps | {' | '.join(METRICS)} | copies |".replace("_", " ")]
    lines.append("|---:|---|---:|---:|" + "---:|" * (len(METRICS) + 1))
    for size, reals in REALS.items():
        for name, peer in PEERS.items():
            if peer.size == size and name in rows:
                for minutes, found in rows[name]["after"].items():
                    lines.append(_line(size, peer.words, minutes, f"{found['steps']:,}", found))
        if reals in rows:
            # Each of them is its own copy, so what is shown is how often a new logo would be called one.
            found = rows[reals]["after"]["0"]
            alarms = {"share": found["copies"]["false_alarm_rate"]}
            lines.append(_line(size, "*real logos*", "", "", {**found, "copies": alarms}))
    return "\n".join(lines) + "\n"


def sheets(rows: dict[str, dict[str, Any]]) -> str:
    """Return the sheets of the records in Markdown, in the order of the table."""
    words = {REALS[size]: f"Held-out logos, {size} pixels:" for size in REALS}
    for name, peer in PEERS.items():
        after = [f"{minutes}" for minutes in rows[name]["after"]] if name in rows else []
        shown = peer.words.replace("**", "")
        words[name] = f"{shown}, after {' and '.join(', '.join(after).rsplit(', ', 1))} minutes:"
    names = [
        name
        for size, reals in REALS.items()
        for name in (*(name for name, peer in PEERS.items() if peer.size == size), reals)
    ]
    return "".join(
        f"\n{words[name]}\n\n![Pictures of {name}](equal-minutes/{name}.png)\n" for name in names if name in rows
    )


def _line(size: int, words: str, minutes: str, steps: str, found: dict[str, Any]) -> str:
    cells = [f"{found['against'][name]['value']:.3f}" if name in found["against"] else "-" for name in METRICS]
    return f"| {size} | {words} | {minutes} | {steps} | {' | '.join(cells)} | {found['copies']['share']:.1%} |"


def records() -> dict[str, dict[str, Any]]:
    """Read the records that are there."""
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(RECORDS.glob("*.json"))}


def write(name: str, after: dict[str, Any], **about: Any) -> None:
    """Write a record, and the table with it."""
    RECORDS.mkdir(exist_ok=True)
    command = f"python benchmarks/equal_minutes.py {name} --folder=RUNS"
    record.write_record(f"equal-minutes/{name}", command, {"samples": SAMPLES, **about, "after": after})
    record.rewrite_table("docs/quality.md", "equal-minutes", table(records()) + sheets(records()))


def run_peer(name: str, folder: pathlib.Path, torch_python: str) -> None:
    """Train, judge, draw and record a peer, in a new folder."""
    peer = PEERS[name]
    if folder.exists():
        sys.exit(f"error: {folder} exists, and how much of the processor it took is not known: choose another --folder")
    runs = train_ours(peer, folder) if peer.flags else train_lightweight(peer, folder, torch_python)
    judge = Judge(peer.size)
    after, pictures = {}, []
    for minutes, steps, pixels in runs:
        after[str(minutes)] = {"steps": steps, **judge.measure(pixels, left_out=peer.looks_through)}
        pictures.append(pixels)
        print(name, minutes, steps, after[str(minutes)]["against"]["kid_ppocr"], flush=True)
    about = folder / "about.json"
    versions = json.loads(about.read_text(encoding="utf-8"))["versions"] if about.exists() else {}
    write(name, after, flags=peer.flags, versions=versions or {"logogan_jax": __version__})
    draw_sheet(SHEETS / f"{name}.png", pictures)


def main() -> None:
    """Run the command."""
    flags = record.parser(__doc__)
    flags.add_argument("names", nargs="+", metavar="NAME", choices=(*PEERS, "reals"))
    flags.add_argument("--folder", required=True, type=pathlib.Path, help="where the runs go, or are")
    flags.add_argument("--torch_python", default=sys.executable, help="an interpreter with lightweight-gan")
    args = flags.parse_args()
    for name in args.names:
        if name != "reals":
            run_peer(name, args.folder / name, args.torch_python)
            continue
        for size, reals in REALS.items():
            judge = Judge(size)
            write(reals, {"0": judge.measure(judge.train[:SAMPLES])})
            draw_sheet(SHEETS / f"{reals}.png", [judge.held_out])


if __name__ == "__main__":
    main()
