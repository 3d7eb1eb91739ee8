"""The runs below one folder, read as they are now; nothing outside of the folder is read."""

import json
import os
import pathlib
import time
from collections.abc import Iterator
from typing import Any

from logogan_jax.core import files, locks
from logogan_jax.core.errors import UserError
from logogan_jax.training.reporting.run_page import NAME as REPORT

OWN = "studio"  # the folder beside the runs that the studio writes to
_DEPTH = 3  # folders below the root in which runs are looked for
_FRESH = 60.0  # seconds: a log that grew within them is that of a run on another machine
_MAX_LINES = 5_000  # of a log that are sent at once


class RunFolder:
    """The runs below a root; the name of a run is its path from there."""

    def __init__(self, root: pathlib.Path):
        self.root = root.resolve()

    def names(self) -> list[str]:
        """Return the names of all runs, the one that was changed last first."""
        found = {path: _changed(path) for path in self._runs(self.root, _DEPTH)}
        return [path.relative_to(self.root).as_posix() for path in sorted(found, key=found.__getitem__, reverse=True)]

    def _runs(self, folder: pathlib.Path, depth: int) -> Iterator[pathlib.Path]:
        try:
            entries = sorted(folder.iterdir())
        except OSError:
            return
        for path in entries:
            # A link is followed only to another place below the root, where it is found without it.
            if path.is_symlink() or not path.is_dir() or path.name == OWN or path.name.startswith("."):
                continue
            if (path / "config.json").is_file():
                yield path
            elif depth > 1:
                yield from self._runs(path, depth - 1)

    def path(self, name: str) -> pathlib.Path:
        """Return the folder of a run; UserError where there is none of this name below the root."""
        return self._inside(name, "config.json").parent

    def _inside(self, name: str, *parts: str) -> pathlib.Path:
        """Return a file of a run, which may not lie outside of the root, behind a link either."""
        try:
            path = self.root.joinpath(name, *parts).resolve()
            inside = bool(name) and path.is_relative_to(self.root) and path.is_file()
        except (OSError, ValueError, RuntimeError):  # a name too long, with a null, or links in a circle
            inside = False
        if not inside:
            file = "/".join(parts)
            run = f"run {name[:100]!r}"
            what = f"there is no {run}" if file == "config.json" else f"{run} has no {file}"
            raise UserError(f"{what} below {self.root}")
        return path

    def sample(self, name: str, step: int) -> pathlib.Path:
        """Return the file of a run's pictures at a step."""
        return self._inside(name, "samples", f"{step:06d}.png")

    def report(self, name: str) -> pathlib.Path:
        """Return the file of a run's own page."""
        return self._inside(name, REPORT)

    def samples(self, name: str) -> list[int]:
        """Return the steps of which a run has pictures, in order."""
        try:
            names = os.listdir(self.path(name) / "samples")
        except OSError:
            return []
        return sorted(int(file[:-4]) for file in names if file.endswith(".png") and file[:-4].isdigit())

    def about(self, name: str) -> dict[str, Any]:
        """Return what a list of runs shows: its status, step, last KID, and what it draws."""
        path = self.path(name)
        config = files.read_object(path / "config.json").get("config", {})
        summary = files.read_object(path / "summary.json")
        last = _last_line(path / "metrics.jsonl")
        step = last.get("step", summary.get("step", 0))
        best = (summary.get("best") or {}).get("kid_efflite0") or {}
        return {
            "name": name,
            "status": self._status(path, summary, step),
            "step": step,
            "steps": config.get("train", {}).get("steps"),
            "objective": config.get("objective", {}).get("name"),
            "size": config.get("data", {}).get("size"),
            "kid": best.get("value"),
            "has_report": (path / REPORT).is_file(),
        }

    def _status(self, path: pathlib.Path, summary: dict[str, Any], step: int) -> str:
        if locks.is_locked(path / ".lock"):
            return "running"
        if not summary or step > summary.get("step", 0):  # it has gone on since, or has never ended
            return "running" if time.time() - _changed(path) < _FRESH else "interrupted"
        return str(summary.get("status"))

    def log(self, name: str, after: int) -> dict[str, Any]:
        """Return the lines of a run's log from byte `after` on, and the byte from which the next ones come.

        A log that is now shorter, because the run has gone back, is sent from its beginning: `again` says so.
        """
        self.path(name)
        try:
            path = self._inside(name, "metrics.jsonl")
        except UserError:  # the run has just begun
            return {"lines": [], "next": 0, "again": after > 0}
        again = after > path.stat().st_size
        with open(path, "rb") as file:
            file.seek(0 if again else after)
            lines, position = [], file.tell()
            for raw in file:
                if not raw.endswith(b"\n") or len(lines) == _MAX_LINES:  # a line that is being written
                    break
                position += len(raw)
                line = _parse(raw)
                if line:
                    lines.append(line)
        return {"lines": lines, "next": position, "again": again}


def _changed(folder: pathlib.Path) -> float:
    """Return when the log of a run was changed last, or 0.0."""
    try:
        return (folder / "metrics.jsonl").stat().st_mtime
    except OSError:
        return 0.0


def _last_line(path: pathlib.Path) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - 16_384))
            lines = [line for line in map(_parse, file.read().splitlines()) if line]
    except OSError:
        return {}
    return lines[-1] if lines else {}


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        value = json.loads(raw)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
