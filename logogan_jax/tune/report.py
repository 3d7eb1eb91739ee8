"""The page of a study, and its result in one line."""

import math
import pathlib
from typing import Any

from logogan_jax.core import pages, timing
from logogan_jax.core.intervals import Estimate
from logogan_jax.tune import plots
from logogan_jax.tune.search import Plan
from logogan_jax.tune.trial import Trial, best_trial

_ORDER = ("finished", "pruned", "running", "waiting", "failed")  # of the rows of the table


def render_page(
    plan: Plan, folder: pathlib.Path, trials: list[Trial], *, total: int, importance: dict[str, float]
) -> str:
    """Return the page of a study as HTML, for `total` trials in the end and {key: share that it explains}."""
    best = best_trial(trials)
    measured = any(trial.kid for trial in trials)
    return pages.render(
        "study.html.j2",
        title=f"Tuning {plan.file}",
        metric=plan.metric,
        budget=_budget(plan),
        folder=folder,
        boxes=_boxes(trials, best, total),
        best=_best(plan, folder, trials, best) if best else None,
        charts=_charts(trials, best) if measured else [],
        key_charts=_key_charts(plan, trials, best) if measured else [],
        importance=[(key, share, f"{share:.0%}") for key, share in importance.items()],
        columns=["trial", "KID", "at step", "state", "took", *plan.ranges, "why"],
        rows=_rows(plan, trials, best),
    )


def summarize(plan: Plan, folder: pathlib.Path, trials: list[Trial]) -> str:
    """Return the result of a study in one line."""
    best = best_trial(trials)
    if not best:
        return f"None of {len(trials)} trials finished; {folder / 'report.html'} says why"
    return (
        f"Best of {len(trials)}: trial {best.number}, KID {_format_kid(best.kid)}; {_gain(best, trials[0])}. "
        f"Train it: {_command(plan, folder, best)}"
    )


def _command(plan: Plan, folder: pathlib.Path, best: Trial, separator: str = " ") -> str:
    return plan.shell_command(best.params, f"runs/{folder.name}-best", separator)


def _format_kid(kid: Estimate | None) -> str:
    """Return a KID with its interval if it has one, or "" for None."""
    if not kid:
        return ""
    interval = "" if math.isnan(kid.low) else f" [{kid.low:.4f}, {kid.high:.4f}]"
    return f"{kid.value:.4f}{interval}"


def _gain(best: Trial, first: Trial) -> str:
    """Return how the best trial compares with the config as it is; only intervals that are apart are a clear gain."""
    if best.number == first.number:
        return "the config as it is is still the best"
    if first.state != "finished" or not (first.kid and best.kid):
        return f"the config as it is {'was ' if first.state == 'pruned' else ''}{first.state}"
    apart = best.kid.high < first.kid.low
    verdict = "their intervals are apart" if apart else "their intervals overlap, so it may be chance"
    return f"the config as it is has {_format_kid(first.kid)}: {verdict}"


def _budget(plan: Plan) -> str:
    images = plan.base["train.steps"] * plan.base["train.batch_size"]
    return f"every trial generates {images:,} images and is evaluated {plan.evaluations} times"


def _boxes(trials: list[Trial], best: Trial | None, total: int) -> list[tuple[str, str, str]]:
    """Return (class, number, text) of each number at the top of the page."""
    count = {state: sum(trial.state == state for trial in trials) for state in ("finished", "pruned", "failed")}
    boxes = [("good", f"{best.score:.4f}" if best else "none yet", "best KID")]
    if trials and trials[0].state == "finished":
        boxes.append(("", f"{trials[0].score:.4f}", "the config as it is"))
        if best and best.number and trials[0].score > 0:
            boxes.append(("good", f"{1 - best.score / trials[0].score:.0%}", "lower"))
    return [
        *boxes,
        ("", f"{sum(count.values())} of {max(total, len(trials))}", "trials ended"),
        ("", f"{count['pruned']}", "stopped early"),
        ("bad" if count["failed"] else "", f"{count['failed']}", "failed"),
    ]


def _best(plan: Plan, folder: pathlib.Path, trials: list[Trial], best: Trial) -> dict[str, Any]:
    return {
        "number": best.number,
        "kid": _format_kid(best.kid),
        "step": best.step,
        "gain": _gain(best, trials[0]),
        "command": _command(plan, folder, best, " \\\n  "),  # a flag on each line, as a shell reads it
        "run": folder / "trials" / f"{best.number:04d}",
    }


def _charts(trials: list[Trial], best: Trial | None) -> list[tuple[str, str]]:
    return [
        ("KID of each trial", plots.plot_kid_per_trial(trials, best)),
        ("KID of all trials as they train", plots.plot_kid_curves(trials, best)),
    ]


def _key_charts(plan: Plan, trials: list[Trial], best: Trial | None) -> list[tuple[str, str]]:
    return [(key, plots.plot_kid_against(key, values, trials, best)) for key, values in plan.ranges.items()]


def _rows(plan: Plan, trials: list[Trial], best: Trial | None) -> list[dict[str, Any]]:
    """Return the rows of the table: by state, then by KID, then by number."""
    rank = lambda trial: (_ORDER.index(trial.state), trial.score, trial.number)
    return [
        {
            "best": best is not None and trial.number == best.number,
            "number": trial.number,
            "kid": _format_kid(trial.kid),
            "step": trial.step or "",
            "state": trial.state,
            "took": timing.format_duration(trial.seconds) if trial.seconds else "",
            "params": [_format_value(trial.params[key]) if key in trial.params else "" for key in plan.ranges],
            "reason": trial.reason,
        }
        for trial in sorted(trials, key=rank)
    ]


def _format_value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
