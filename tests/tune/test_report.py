"""The page of a study, and its result in one line."""

import re

from balanced import Balanced
from studies import BASE, RANGES

from logogan_jax.core.intervals import Estimate
from logogan_jax.tune import report, search
from logogan_jax.tune.trial import Trial


def some_trials():
    curve = [(64_000, 0.3), (128_000, 0.2)]
    of = lambda rate, updates: {"optimizer.critic.learning_rate": rate, "objective.critic_updates": updates}
    return [
        Trial(0, "finished", of(1e-4, 5), Estimate(0.2, 0.19, 0.21), 400, 90.0, "", curve),
        Trial(1, "failed", of(1e-3, 1), None, None, None, "error <b>bold</b> & $x_1$", []),
        Trial(
            2, "pruned", of(2e-4, 1), Estimate(0.4, float("nan"), float("nan")), None, None, "</td>", [(64_000, 0.4)]
        ),
        Trial(3, "finished", of(3e-4, 4), Estimate(0.1, 0.09, 0.11), 400, 90.0, "", [(64_000, 0.2), (128_000, 0.1)]),
        Trial(4, "running", of(4e-4, 3), None, None, None, "", []),
    ]


def test_the_page_is_one_whole_escaped_file_with_the_best_and_its_command(tmp_path):
    wanted = search.Plan("<i>c.py", BASE, {"data.dir": "<i>mine"}, RANGES)
    page = report.render_page(wanted, tmp_path, some_trials(), total=9, importance={"objective.critic_updates": 0.75})
    seen = Balanced(page)
    assert max(seen.names.values()) == 1  # no two parts of one name
    assert "<i>" not in page and "<b>bold" not in page
    assert "://" not in re.sub(r'xmlns(:xlink)?="[^"]*"', "", page)
    text = " ".join(seen.text)
    assert "error <b>bold</b> & $x_1$" in text and "0.1000 [0.0900, 0.1100]" in text and "75%" in text
    assert "their intervals are apart" in text and "4 of 9" in text and "50%" in text
    assert "--config.optimizer.critic.learning_rate=0.0003 \\\n  --config.objective.critic_updates=4 \\\n" in text
    assert page.index("<td>3</td>") < page.index("<td>0</td>") < page.index("<td>2</td>") < page.index("<td>1</td>")
    assert page.count("<svg") == 4
    assert not re.search(r"#[1-6]0[1-6]1[1-6]2", page)  # no colour is left that should follow the reader's


def test_the_verdict_is_one_line(tmp_path):
    wanted, trials = search.Plan("c.py", BASE, {}, RANGES), some_trials()
    line = report.summarize(wanted, tmp_path / "tune-c", trials)
    assert line.startswith("Best of 5: trial 3, KID 0.1000 [0.0900, 0.1100]; the config as it is has 0.2000")
    assert line.endswith("--config.objective.critic_updates=4 --workdir=runs/tune-c-best") and "\n" not in line
    near = [trials[0], trials[3]._replace(kid=Estimate(0.195, 0.185, 0.205))]
    assert "their intervals overlap, so it may be chance" in report.summarize(wanted, tmp_path, near)
    assert "the config as it is is still the best" in report.summarize(wanted, tmp_path, trials[:3])
    assert "None of 2 trials finished" in report.summarize(wanted, tmp_path, trials[1:3])
    Balanced(report.render_page(wanted, tmp_path, [], total=3, importance={}))
    Balanced(report.render_page(wanted, tmp_path, trials[4:], total=3, importance={}))
