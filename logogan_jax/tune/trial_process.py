"""One trial's run: the training command in a process of its own, watched by what it writes."""

import contextlib
import json
import math
import os
import re
import signal
import subprocess
import sys

from logogan_jax.core import die_with_parent
from logogan_jax.core.intervals import Estimate
from logogan_jax.tune.trial import Outcome


class TrialProcess:
    """A command that trains in a folder, as `logogan_jax.main` does; it starts at once.

    Its words go to the file `log`. It inherits `lock`, so that nobody else takes the trial while it goes on.
    """

    def __init__(self, command, folder, *, log, lock, metric, environment):
        self.folder, self._log, self._metric = folder, log, metric
        self._before = _stamp(folder / "summary.json")
        self._lines = None
        self._spoken = log.stat().st_size if log.exists() else 0
        with open(log, "ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-I", die_with_parent.__file__, str(os.getpid()), *command],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, **environment},
                start_new_session=True, pass_fds=[lock.fileno()],
            )  # fmt: skip

    @property
    def ended(self):
        """True once the process is gone."""
        return self._process.poll() is not None

    def stop(self):
        """Ask it to save and leave, once it has begun to listen or before."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def wait(self):
        """Return when the process is gone."""
        self._process.wait()

    def new_evaluations(self):
        """[(step, KID)] of the run so far, or None if nothing was written since the last call."""
        lines = self.folder / "metrics.jsonl"
        stamp = _stamp(lines)
        if stamp == self._lines:
            return None
        self._lines = stamp
        return read_evaluations(lines, self._metric)

    def outcome(self):
        """The Outcome of a run that has ended by itself."""
        summary, fresh = _json(self.folder / "summary.json"), _stamp(self.folder / "summary.json") != self._before
        best, status = summary.get("best") or {}, summary.get("status")
        found = best.get(self._metric) or {}
        kid = Estimate(*(found.get(name, math.nan) for name in Estimate._fields)) if found else None
        how = Outcome("finished", kid, best.get("step"), summary.get("seconds"))
        if self._process.returncode == 0 and status == "finished":
            if kid and math.isfinite(kid.value):
                return how
            return how._replace(state="failed", kid=None, reason=f"the run left no {self._metric} in summary.json")
        if fresh and status not in (None, "finished"):
            return how._replace(state="pruned", reason=str(summary.get("reason") or status))
        return Outcome("failed", reason=self._last_words())

    def _last_words(self):
        """The last line that this process said, for a UserError is one line and a traceback ends with what it was."""
        with open(self._log, "rb") as log:
            log.seek(self._spoken)
            words = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        code = self._process.returncode
        ended = signal.Signals(-code).name if code < 0 else f"status {code}"
        return f"{words[-1].strip().removeprefix('error: ')[:500]} ({ended})" if words else f"it ended with {ended}"


def read_evaluations(path, metric):
    """[(step, KID)] in the whole lines of a metrics.jsonl."""
    name = f"evaluation/{metric}"
    if not path.exists():
        return []
    # Most lines are losses; a line that is being written has no end yet.
    lines = [line for line in path.read_text().split("\n")[:-1] if re.search(f'"{name}"', line)]
    try:
        return [(line["step"], line[name]) for line in map(json.loads, lines)]
    except ValueError:
        return []  # the run itself refuses a damaged file, in words that become the trial's reason


def _stamp(path):
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _json(path):
    try:
        return json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
