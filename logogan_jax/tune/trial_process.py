"""One trial's run: the training command in another process, watched by the files that it writes."""

import contextlib
import json
import math
import os
import pathlib
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import IO, Any

from logogan_jax.core import die_with_parent, files
from logogan_jax.core.intervals import Estimate
from logogan_jax.tune.trial import Outcome


class TrialProcess:
    """A command that trains in a folder, as `logogan_jax.main` does; it starts at once.

    Its output goes to the file `log`. It inherits `lock`, so that no other command takes the trial while it runs.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: pathlib.Path,
        *,
        log: pathlib.Path,
        lock: IO[Any],
        metric: str,
        environment: dict[str, str],
    ):
        self.folder = folder
        self._log = log
        self._metric = metric
        self._old_summary = _stamp(folder / "summary.json")
        self._metrics_read = None
        self._log_start = log.stat().st_size if log.exists() else 0
        with open(log, "ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-I", die_with_parent.__file__, str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
                start_new_session=True,  # Ctrl-C reaches the study alone, which lets its runs save
                pass_fds=[lock.fileno()],
            )

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """Ask the process to save and end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        """Return when the process has ended."""
        self._process.wait()

    def new_evaluations(self) -> list[tuple[int, float]] | None:
        """Return [(step, KID)] of the whole run until now, or None if nothing was written since the last call."""
        path = self.folder / "metrics.jsonl"
        stamp = _stamp(path)
        if stamp == self._metrics_read:
            return None
        self._metrics_read = stamp
        return read_evaluations(path, self._metric)

    def outcome(self) -> Outcome:
        """Return the Outcome of a process that has ended."""
        path = self.folder / "summary.json"
        summary = files.read_object(path)
        status = summary.get("status")
        best = summary.get("best") or {}
        numbers = best.get(self._metric) or {}
        kid = Estimate(*(numbers.get(name, math.nan) for name in Estimate._fields)) if numbers else None
        outcome = Outcome("finished", kid, best.get("step"), summary.get("seconds"))
        if self._process.returncode == 0 and status == "finished":
            if kid and math.isfinite(kid.value):
                return outcome
            reason = f"the run left no {self._metric} in summary.json"
            return outcome._replace(state="failed", kid=None, reason=reason)
        # A summary from before this process says nothing of how it ended.
        if _stamp(path) != self._old_summary and status not in (None, "finished"):
            return outcome._replace(state="pruned", reason=str(summary.get("reason") or status))
        return Outcome("failed", reason=self._last_line())

    def _last_line(self) -> str:
        """Return the last line of this process's output, which names the error in a UserError and in a traceback."""
        with open(self._log, "rb") as log:
            log.seek(self._log_start)
            lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        code = self._process.returncode
        end = signal.Signals(-code).name if code < 0 else f"status {code}"
        return f"{lines[-1].strip().removeprefix('error: ')[:500]} ({end})" if lines else f"it ended with {end}"


def read_evaluations(path: pathlib.Path, metric: str) -> list[tuple[int, float]]:
    """Return [(step, KID)] of the complete lines of a metrics.jsonl; [] where there is none, or a damaged one."""
    name = f"evaluation/{metric}"
    if not path.exists():
        return []
    # Most lines are losses; a line that is being written has no end yet.
    lines = [line for line in path.read_text(encoding="utf-8").split("\n")[:-1] if re.search(f'"{name}"', line)]
    try:
        return [(line["step"], line[name]) for line in map(json.loads, lines)]
    except ValueError:
        return []  # the run itself refuses a damaged file, with a message that becomes the trial's reason


def _stamp(path: pathlib.Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is written or replaced, or None if there is no file."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_size, stat.st_mtime_ns
