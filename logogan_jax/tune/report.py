"""The page of a study: one file of HTML, without scripts."""

import math
from html import escape

from logogan_jax.core import timing
from logogan_jax.tune import plots
from logogan_jax.tune.trial import best_of

_STYLE = """
:root { color-scheme: light dark; --page: #f6f6f4; --card: #fff; --ink: #1b1b1a; --pale: #63635f; --line: #dcdcd6;
  --bar: #4a7fb5; --bad: #b3261e; --good: #2e6b34; }
@media (prefers-color-scheme: dark) { :root { --page: #161615; --card: #222220; --ink: #ebebe7; --pale: #a3a39c;
  --line: #3a3a36; --bar: #6d9fd0; --bad: #ff8a80; --good: #8fcf95; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 76rem; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.7rem; overflow-wrap: anywhere; }
h2 { margin: 2.5rem 0 .2rem; font-size: 1.2rem; }
h3 { margin: 0 0 .3rem; font-size: .85rem; font-weight: 600; overflow-wrap: anywhere; }
p { margin: .2rem 0 .8rem; max-width: 48rem; }
.pale { color: var(--pale); }
.counts { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.2rem, 1fr)); gap: .6rem; margin: 1.2rem 0; }
.box, .counts div { padding: .6rem .8rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .5rem; }
.counts b { display: block; font-size: 1.5rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.counts span { color: var(--pale); font-size: .85rem; }
.good b, tr.best td { color: var(--good); } tr.best td { font-weight: 600; } .failed { color: var(--bad); }
pre { margin: .3rem 0 0; padding: .6rem .7rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .4rem; overflow-x: auto; }
code { font: .85rem/1.5 ui-monospace, monospace; }
.charts { display: grid; gap: .8rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); }
.keys { grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr)); }
svg { display: block; width: 100%; height: auto; } svg text { font-family: system-ui, sans-serif !important; }
.bars { display: grid; grid-template-columns: minmax(5rem, max-content) 1fr max-content; gap: .25rem .8rem;
  font-size: .85rem; align-items: center; }
.bars span { overflow-wrap: anywhere; max-width: 40vw; } .bars i { height: .8rem; background: var(--bar); }
.bars em { font-style: normal; color: var(--pale); font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .85rem; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line);
  font-variant-numeric: tabular-nums; white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; }
td.reason { white-space: normal; min-width: 16rem; overflow-wrap: anywhere; }
"""


def page(plan, folder, trials, *, total, importance):
    """The report as HTML: a list of Trial, of `total` in the end, and what the keys explain {key: share}."""
    best = best_of(trials)
    name = escape(f"Tuning {plan.file}")
    parts = [
        f'<h1>{name}</h1><p class="pale">{escape(plan.metric)} against held-out images, lower is better; '
        f"{_budget(plan)}, in {escape(str(folder))}.</p>",
        _counts(trials, best, total),
        _result(plan, folder, trials, best),
        _charts(plan, trials, best),
        _importance(importance),
        _table(plan, trials, best),
    ]
    body = "\n".join(filter(None, parts))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def verdict(plan, folder, trials):
    """The result of a study in one line."""
    best = best_of(trials)
    if not best:
        return f"None of {len(trials)} trials finished; {folder / 'report.html'} says why"
    return (
        f"Best of {len(trials)}: trial {best.number}, KID {_spoken(best.kid)}; {_gain(best, trials[0])}. "
        f"Train it: {_command(plan, folder, best)}"
    )


def _command(plan, folder, best, between=" "):
    return plan.spoken(best.params, f"runs/{folder.name}-best", between)


def _spoken(kid):
    """A KID as a person writes it, with its interval if it has one."""
    if not kid:
        return ""
    interval = "" if math.isnan(kid.low) else f" [{kid.low:.4f}, {kid.high:.4f}]"
    return f"{kid.value:.4f}{interval}"


def _gain(best, first):
    """What the best trial won over the config as it is, in a sentence part; their intervals decide how sure it is."""
    if best.number == first.number:
        return "the config as it is is still the best"
    if first.state != "finished":
        return f"the config as it is {'was ' if first.state == 'pruned' else ''}{first.state}"
    sure = best.kid.high < first.kid.low
    doubt = "their intervals are apart" if sure else "their intervals overlap, so it may be chance"
    return f"the config as it is has {_spoken(first.kid)}: {doubt}"


def _budget(plan):
    images = plan.base["train.steps"] * plan.base["train.batch_size"]
    return f"every trial makes {images:,} images and is judged {plan.evaluations} times"


def _counts(trials, best, total):
    count = {state: sum(trial.state == state for trial in trials) for state in ("finished", "pruned", "failed")}
    boxes = [("good", f"{best.kid.value:.4f}" if best else "none yet", "best KID")]
    if trials and trials[0].state == "finished":
        boxes.append(("", f"{trials[0].kid.value:.4f}", "the config as it is"))
        if best and best.number and trials[0].kid.value > 0:
            boxes.append(("good", f"{1 - best.kid.value / trials[0].kid.value:.0%}", "lower"))
    boxes += [
        ("", f"{sum(count.values())} of {max(total, len(trials))}", "trials ended"),
        ("", count["pruned"], "stopped early"),
        ("", count["failed"], "failed"),
    ]
    cells = "".join(f'<div class="{kind}"><b>{number}</b><span>{text}</span></div>' for kind, number, text in boxes)
    return f'<div class="counts">{cells}</div>'


def _result(plan, folder, trials, best):
    if not best:
        return ""
    between = " \\\n  "  # a flag on each line, as a shell reads it
    return (
        f"<h2>The best: trial {best.number}</h2>"
        f"<p>KID {_spoken(best.kid)} at step {best.step:,}; {escape(_gain(best, trials[0]))}. "
        "The interval is that of the measurement. All trials have the same seed, and the lowest of many noisy numbers "
        "looks lower than it is: train the best, and the config as it is, with another seed before you rely on it.</p>"
        f"<pre><code>{escape(_command(plan, folder, best, between))}</code></pre>"
        f'<p class="pale">Its run is in {escape(str(folder / "trials" / f"{best.number:04d}"))}, to sample from. '
        "Add --config.train.seed=1 for another seed.</p>"
    )


def _charts(plan, trials, best):
    if not any(trial.kid for trial in trials):
        return ""
    two = (("KID of each trial", plots.per_trial), ("KID of all trials as they train", plots.curves))
    big = "".join(f'<div class="box"><h3>{title}</h3>{draw(trials, best)}</div>' for title, draw in two)
    panels = "".join(
        f'<div class="box"><h3>{escape(key)}</h3>{plots.against(key, each, trials, best)}</div>'
        for key, each in plan.ranges.items()
    )
    return (
        f'<h2>The trials</h2><p class="pale">Pale: stopped early, with the best until then.</p>'
        f'<div class="charts">{big}</div><h2>KID against each key</h2>'
        '<p class="pale">Green: the best; black or white: the config as it is.</p>'
        f'<div class="charts keys">{panels}</div>'
    )


def _importance(importance):
    if not importance:
        return ""
    rows = "".join(
        f'<span>{escape(key)}</span><i style="width:{100 * share:.1f}%"></i><em>{share:.0%}</em>'
        for key, share in importance.items()
    )
    return (
        '<h2>What matters</h2><p class="pale">How much the values of the better half of the finished trials '
        f'differ from those of all (PED-ANOVA, arXiv 2304.10255); a rough guide.</p><div class="box bars">{rows}</div>'
    )


def _table(plan, trials, best):
    order = {"finished": 0, "pruned": 1, "running": 2, "waiting": 3, "failed": 4}
    ranked = sorted(trials, key=lambda t: (order[t.state], t.kid.value if t.kid else math.inf, t.number))
    names = ["trial", "KID", "at step", "state", "took", *plan.ranges, "why"]
    head = "".join(f"<th>{escape(name).replace('.', '.<wbr>')}</th>" for name in names)
    rows = "".join(_row(plan, trial, best) for trial in ranked)
    return (
        '<h2>All trials</h2><p class="pale">By KID, those that were stopped early below those that finished. '
        'Trial 0 is the config as it is.</p><div class="box scroll"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(plan, trial, best):
    kind = ' class="best"' if best and trial.number == best.number else ""
    cells = [
        trial.number, _spoken(trial.kid), trial.step or "", trial.state,
        timing.format_duration(trial.seconds) if trial.seconds else "",
        *(_value(trial.params[key]) if key in trial.params else "" for key in plan.ranges),
    ]  # fmt: skip
    state = ' class="failed"' if trial.state == "failed" else ""
    shown = "".join(f"<td{state if cell == trial.state else ''}>{escape(str(cell))}</td>" for cell in cells)
    return f'<tr{kind}>{shown}<td class="reason">{escape(trial.reason)}</td></tr>'


def _value(value):
    return f"{value:.3g}" if isinstance(value, float) else str(value)
