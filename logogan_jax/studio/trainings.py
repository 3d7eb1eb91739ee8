"""Trainings that the studio starts: look at a folder, write its shards, train; each step is a command of its own."""

import asyncio
import dataclasses
import itertools
import json
import os
import pathlib
import re
import signal
import sys
from collections import deque
from typing import Any

from logogan_jax.core import die_with_parent, files
from logogan_jax.core.errors import UserError
from logogan_jax.studio.uploads import NAME

SIZES = (28, 56, 112)
MAX_MINUTES = 7 * 24 * 60
_LINES = 20  # of a command's output that are kept
_GRACE = 120.0  # seconds that a training gets to save its state


@dataclasses.dataclass
class Training:
    """A folder of images on its way to a run.

    `state` is "looking", "ready" when the findings are there, "writing", "training", or one of the ends "finished",
    "stopped" and "failed". `said` is the last line of the command that runs, or of the one that failed.
    """

    number: int
    folder: str
    run: str
    size: int
    minutes: float = 0.0
    state: str = "looking"
    said: str = ""
    findings: list[list[str]] = dataclasses.field(default_factory=list)
    head: str = ""
    inks: int = 0


class Trainings:
    """Trainings on folders of images, one at a time, whose runs and shards lie below a root."""

    def __init__(self, root: pathlib.Path, own: pathlib.Path):
        self._root, self._own = root, own
        self._numbers = itertools.count(1)
        self._trainings: dict[int, Training] = {}
        self._tasks: dict[int, asyncio.Task] = {}
        self._process: asyncio.subprocess.Process | None = None

    def all(self) -> list[dict[str, Any]]:
        """Return all trainings since the studio has started, the newest first."""
        return [dataclasses.asdict(training) for training in reversed(self._trainings.values())]

    def look(self, folder: str, run: str, size: int) -> Training:
        """Begin to look at a folder of images, which is to become a run; UserError for what cannot be."""
        if not NAME.fullmatch(run):
            raise UserError(f"the name of the run is {run!r}: give small letters, digits, - and _, 60 at most")
        if os.path.lexists(self._root / run):
            raise UserError(f"there is a run {run!r} already: choose another name")
        if size not in SIZES:
            raise UserError(f"size={size} should be one of {', '.join(map(str, SIZES))}")
        path = files.expand(folder)
        if not folder or not path.is_dir():
            raise UserError(f"{folder!r} is no folder of this machine: give its path, or upload the images")
        self._check_free()
        training = Training(next(self._numbers), str(path.absolute()), run, size)
        self._begin(training, self._look(training))
        return training

    def start(self, number: int, minutes: float) -> Training:
        """Begin to train what has been looked at, for some minutes."""
        training = self._get(number)
        if training.state != "ready":
            raise UserError(f"{training.run} is {training.state}: look at a folder first")
        if not 0 < minutes <= MAX_MINUTES:
            raise UserError(f"minutes={minutes} should be from 0 to {MAX_MINUTES:,}")
        self._check_free()
        training.minutes = minutes
        self._begin(training, self._train(training))
        return training

    def stop(self, number: int) -> Training:
        """Stop a training, which saves its state."""
        training = self._get(number)
        task = self._tasks.get(number)
        if task is None or task.done():
            raise UserError(f"{training.run} is {training.state} and cannot be stopped")
        task.cancel()
        return training

    async def close(self) -> None:
        """Stop what runs and wait until it has saved its state."""
        tasks = [task for task in self._tasks.values() if not task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _get(self, number: int) -> Training:
        if number not in self._trainings:
            raise UserError(f"there is no training {number}")
        return self._trainings[number]

    def _check_free(self) -> None:
        busy = [self._trainings[number].run for number, task in self._tasks.items() if not task.done()]
        if busy:
            raise UserError(f"{busy[0]} is at work: stop it, or wait")

    def _begin(self, training: Training, work: Any) -> None:
        self._trainings[training.number] = training
        self._tasks[training.number] = asyncio.create_task(self._until_end(training, work))

    async def _until_end(self, training: Training, work: Any) -> None:
        try:
            await work
        except asyncio.CancelledError:
            training.state = "stopped"
        except UserError as error:
            training.state, training.said = "failed", str(error)

    async def _look(self, training: Training) -> None:
        report = self._own / "findings" / training.run
        await asyncio.to_thread(report.parent.mkdir, parents=True, exist_ok=True)
        words = [f"--path={training.folder}", f"--size={training.size}", f"--report={report}"]
        await self._run(training, "data_prep.inspect_data", *words)
        found = json.loads(await asyncio.to_thread((report / "report.json").read_text, encoding="utf-8"))
        training.findings = [[str(text), str(command)] for text, command in found["advice"]]
        training.head = found["head"]
        training.inks = found["mark.inks"]
        training.state = "ready"

    async def _train(self, training: Training) -> None:
        training.state = "writing"
        shards = self._own / "data" / f"{training.run}-{training.size}"
        words = [f"--path={training.folder}", f"--size={training.size}", f"--target_path={shards}"]
        if not (shards / "metadata.json").exists():
            await self._run(training, "data_prep.write_tfrecords", *words)
        training.state = "training"
        config = {"data.dir": shards, "data.size": training.size, "mark.inks": training.inks, "train.steps": 10**7}
        flags = [f"--config.{key}={value}" for key, value in config.items()]
        run = self._run(
            training, "logogan_jax.main", "--config=quickstart", *flags, f"--workdir={self._root / training.run}"
        )
        try:
            await asyncio.wait_for(run, 60 * training.minutes)
        except TimeoutError:
            training.said = f"{training.minutes:g} minutes are over"
        training.state = "finished"

    async def _run(self, training: Training, module: str, *words: str) -> None:
        """Run a command to its end; UserError with its last line where it fails. It ends with the studio.

        Where this is cancelled, the command is asked to stop, and gets time to save what it has.
        """
        own = [sys.executable, die_with_parent.__file__, str(os.getpid()), sys.executable, "-m", module]
        process = await asyncio.create_subprocess_exec(
            *own, *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT, start_new_session=True, limit=2**20,
            env={**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"},
        )  # fmt: skip
        said: deque[str] = deque(maxlen=_LINES)
        reading = asyncio.create_task(_read(process, said, training))
        try:
            await asyncio.shield(reading)
            status = await process.wait()
        except asyncio.CancelledError:
            await _end(process)
            reading.cancel()
            raise
        if status:
            errors = [line for line in said if line.startswith("error: ")]
            raise UserError((errors or list(said) or [f"{module} ended with status {status}"])[-1])


async def _read(process: asyncio.subprocess.Process, said: deque[str], training: Training) -> None:
    """Keep the last lines of a command's output, and drop the rest, so that it never waits for a reader."""
    assert process.stdout is not None
    while raw := await process.stdout.read(2**16):
        # A progress bar writes its line again and again, from its beginning.
        lines = [line.strip() for line in re.split(r"[\r\n]+", raw.decode("utf-8", "replace")) if line.strip()]
        said.extend(lines)
        if lines:
            training.said = lines[-1][:300]


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask a command to stop, and kill it where that takes too long."""
    try:
        process.send_signal(signal.SIGTERM)
        await asyncio.wait_for(process.wait(), _GRACE)
    except ProcessLookupError:
        return
    except TimeoutError:
        process.kill()
        await process.wait()
