"""The page of a run: what it shows, that it stays small, and that it goes on with the run."""

import itertools
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from balanced import Balanced
from PIL import Image

from logogan_jax.config import defaults, report_page, run_config
from logogan_jax.core import files, locks
from logogan_jax.core.errors import Diverged
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.metrics import overfitting
from logogan_jax.training.reporting import charts, run_page, thumbnails
from logogan_jax.training.reporting.cost import Budget
from logogan_jax.training.reporting.run_log import RunLog
from logogan_jax.training.reporting.run_page import About, Setting
from logogan_jax.training.reporting.run_writer import RunWriter
from logogan_jax.training.reporting.screen import Screen

ABOUT = About("<b>mine", "toys of <i>", [Setting("data.dir", "<script>alert(1)</script>", "''", True)], 1)
EVENTS = [{"step": 3, "action": "warn", "sign": "gap", "reason": "</script><i>gap"}]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def noise(side, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (4, side, side, 3), np.uint8)


@pytest.fixture
def begin(tmp_path):
    """A function (step, budget) -> (the writer, the log) of a run that goes on from a step in the folder of a run."""

    def begin(step=0, budget=Budget()):  # noqa: B008
        (tmp_path / "run").mkdir(exist_ok=True)
        writer = RunWriter(tmp_path / "run", step, pytest.fail)
        screen = Screen(8, silent=True)
        about = {"device_kind": "toy <u>", "versions": {"jax": "1.2.3"}}
        return writer, RunLog(writer, screen, budget, ABOUT, about, images_per_step=4, start=step, last=8)

    return begin


def train(writer, log, steps):
    """Do in some steps what the loop does: log, evaluate, draw, and write the page."""
    for step in steps:
        log.advance(step)
        log.write(step, {"critic/loss": step + 0.125, "critic/<i>": 1.0, "critic/gradient_norm/critic": 2.0})
        kid = {
            "evaluation/kid_toy": abs(step - 3) + 0.5,
            "evaluation/kid_toy_low": 0.25,
            "evaluation/kid_toy_high": 9.0,
        }
        writer.write_scalars(step, kid)
        log.write_pictures(step, f"samples/{step:06d}", noise(8, step))
        log.write_page(step)


def text_of(folder):
    page = (folder / "report.html").read_text()
    return page, " ".join(" ".join(Balanced(page).text).split())


def shown(page):
    return re.findall(r'alt="Samples at step ([\d,]+)"', page)


def test_the_page_of_a_run_shows_what_it_is_and_how_it_goes(begin, tmp_path):
    writer, log = begin(budget=Budget(price=3600.0))
    writer.write_event(**EVENTS[0])
    train(writer, log, range(1, 5))
    writer.write_image_grid(3, "samples/best", noise(8))
    column = {"n": 9, "n_against": 7, "kid_toy": {"value": 0.5, "low": 0.25, "high": None}}
    share = {"value": 0.25, "low": 0.125, "high": 0.5}
    copies = {"share": share, "count": 2, "n": 8, "false_alarm_rate": 0.0625}
    found = {"step": 3, "against": {"<u>logos": column}, "copies": copies}
    files.write_json(tmp_path / "run" / "evaluation.json", found)
    log.write_page(4)
    writer.close()
    page, text = text_of(tmp_path / "run")
    for told in (
        "<b>mine", "toys of <i>", "running", "of 8 steps, 50%", "left", "images a second", "in the end", "0.5000",
        "best KID, 0.2500 to 9.0000, at step 3", "3 best", "Best, by KID: step 3", "<u>logos", "9 against 7",
        "2 of 8 pictures are copies", "12.5% to 50.0%", "</script><i>gap", "warned", "<script>alert(1)</script>",
        "toy <u>", "1.2.3", "critic", "gradient norms",
    ):  # fmt: skip
        assert told in text, told
    assert shown(page) == ["1", "2", "3", "4"]
    assert not re.search("<[iu]>|<b>mine|alert\\(1\\)</script>|https?://", page)
    assert page.count("<script") == 2 and page.count("<svg") == 4


def test_a_run_warns_once_of_a_critic_that_overfits_and_its_page_shows_the_curve(begin, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(Screen, "warn", lambda self, line: said.append(line))
    writer, log = begin()
    for step, low in enumerate((0.1, 0.2, 0.6, 0.7), start=1):
        name = f"evaluation/{overfitting.NAME}"
        writer.write_scalars(
            step, {"evaluation/kid_toy": 1.0, name: low + 0.1, f"{name}_low": low, f"{name}_high": 0.9}
        )
        log.evaluated(step)
    writer.close()
    assert len(said) == 1 and "at step 3 the critic has memorised training images" in said[0]
    page, text = text_of(tmp_path / "run")
    assert "overfitting of the critic" in text and "0.8000 (0.7000 to 0.9000)" in text
    assert page.count("<svg") == 2


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="no browser is installed")
def test_a_browser_shows_the_newest_grid_alone_and_runs_no_other_script(begin, tmp_path):
    writer, log = begin()
    train(writer, log, range(1, 4))
    writer.close()
    page = tmp_path / "run" / "report.html"
    page.write_text(page.read_text().replace("</body>", "<script>document.title = 'broken in'</script></body>"))
    words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'browser'}"]
    done = subprocess.run([*words, "--dump-dom", page.as_uri()], capture_output=True, text=True, check=True, timeout=60)
    assert re.findall(r'<figure( hidden="")?>', done.stdout) == [' hidden=""', ' hidden=""', ""]
    assert 'aria-valuetext="step 3, the newest"' in done.stdout and "<title>broken in" not in done.stdout


def test_the_page_goes_on_after_a_resume_and_draws_no_grid_twice(begin, tmp_path, monkeypatch):
    writer, log = begin()
    train(writer, log, range(1, 5))
    writer.close()
    drawn, embed = [], thumbnails._embed
    monkeypatch.setattr(thumbnails, "_embed", lambda path, scale: drawn.append(path.name) or embed(path, scale))
    shutil.move(tmp_path / "run", tmp_path / "elsewhere")
    shutil.move(tmp_path / "elsewhere", tmp_path / "run")
    writer, log = begin(step=3)  # the last checkpoint: step 4 was lost
    log.write_page(3)
    writer.close()
    page, text = text_of(tmp_path / "run")
    assert shown(page) == ["1", "2", "3"] and "of 8 steps, 38%" in text and not drawn
    writer, log = begin(step=3)
    train(writer, log, [4, 5])
    log.write_page(5, "finished")
    writer.close()
    page, text = text_of(tmp_path / "run")
    assert shown(page) == ["1", "2", "3", "4", "5"] and "finished" in text
    assert "loss 1.125 at step 1, 5.125 at step 5" in page
    assert drawn == ["000004.png", "000005.png"]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Diverged("KID is <b>"), "diverged"),
        (ValueError("no\nsuch"), "by ValueError: no"),
        (KeyboardInterrupt(), "by Key"),
    ],
)
def test_the_page_says_what_has_ended_a_run(begin, tmp_path, error, told):
    writer, log = begin()
    with pytest.raises(type(error)), log:
        log.advance(2)
        raise error
    writer.close()
    assert told in text_of(tmp_path / "run")[1]
    assert run_page.read_moment(tmp_path / "run" / "report.html").step == 2


def test_the_page_says_that_a_run_was_interrupted_whatever_error_came_of_it(begin, tmp_path):
    writer, log = begin()
    with pytest.raises(RuntimeError), log:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise RuntimeError("release unlocked lock") from None
    writer.close()
    assert "by KeyboardInterrupt" in text_of(tmp_path / "run")[1]


def test_a_page_holds_few_grids_and_never_more_than_one_new_one():
    for count in range(1, 1000):
        steps = list(range(10, 10 * count + 10, 10))
        now, before = thumbnails.shown_steps(steps), thumbnails.shown_steps(steps[:-1])
        assert len(now) <= thumbnails.MOST and now[0] == 10 and now[-1] == steps[-1]
        assert set(now) <= {*before, steps[-1]}
    assert thumbnails.shown_steps([]) == []


@pytest.mark.parametrize(("side", "scale"), [(300, 1), (300, 4), (1000, 1), (20, 2)])
def test_a_grid_of_any_pictures_is_small(tmp_path, side, scale):
    Image.fromarray(noise(side)[0].repeat(scale, 0).repeat(scale, 1)).save(tmp_path / "000001.png")
    found = thumbnails.thumbnail(tmp_path / "000001.png", {}, scale)
    assert len(found.uri) <= thumbnails.MOST_BYTES * 4 / 3 + 30
    assert found == thumbnails.thumbnail(tmp_path / "000001.png", {found.file: found.uri}, scale)
    assert thumbnails.thumbnail(tmp_path / "000002.png", {}, scale) is None
    # Twenty-six such grids, and half a megabyte of everything else.
    assert (thumbnails.MOST + 2) * (thumbnails.MOST_BYTES * 4 / 3 + 200) < 3.5e6


def test_the_page_of_a_long_run_is_no_larger(tmp_path):
    (tmp_path / "samples").mkdir()
    names = [f"{player}/{name}" for player in ("critic", "generator") for name in ("loss", "a", "b", "c", "d")]
    lines = [{"step": step, **dict.fromkeys(names, step % 97 + 0.123456)} for step in range(1, 20_001)]
    kid = lambda step: {"evaluation/kid_toy": step % 89, "evaluation/kid_toy_low": 0.1, "evaluation/kid_toy_high": 99.5}
    lines += [{"step": step, **kid(step)} for step in range(10, 20_001, 10)]
    events = [{"step": step, "action": "warn", "sign": "gap", "reason": "r" * 200} for step in range(2000)]
    moment = run_page.Moment("running", 20_000, 20_000, None, None, None, {}, 0.0)
    run_page.write(tmp_path / "report.html", ABOUT, moment, lines, lines[:9000], events)
    page, text = text_of(tmp_path)
    assert len(page) < 500_000
    assert "1,900 older ones are left out" in text and "1,969 evaluations between these are left out" in text


def test_a_thinned_curve_keeps_its_peaks_and_ends():
    steps = list(range(5000))
    values = [0.0] * 5000
    values[1234], values[4321] = 7.0, -7.0
    some_steps, some_values = charts.thinned(steps, values)
    assert len(some_steps) <= charts.MOST_POINTS and (some_steps[0], some_steps[-1]) == (0, 4999)
    assert dict(zip(some_steps, some_values, strict=True)).items() >= {1234: 7.0, 4321: -7.0}.items()
    assert some_steps == sorted(set(some_steps))


@pytest.mark.parametrize(
    "values",
    [[0.0], [1.0, 1.0], [-1e-9, 1e-9], [1e-6, 1e6], [-5e8, 3e8], [0.1, 0.2, 0.15], [1e-30, 1e-28], [1e300, -1e300]],
)
def test_a_chart_of_any_numbers_lies_in_its_frame(values):
    drawn = charts.chart("loss", {"loss": (list(range(len(values))), values)}, last=len(values), cuts=[1])
    inside = [tuple(map(float, point.split(","))) for curve in drawn.curves for point in curve.points.split()]
    assert len(inside) == len(values)
    assert all(charts.LEFT <= x <= charts.RIGHT and charts.TOP <= y <= charts.BOTTOM for x, y in inside)
    assert 1 <= len(drawn.up) <= 8 and all(charts.TOP <= y <= charts.BOTTOM for y, _ in drawn.up)
    assert len({label for _, label in drawn.up}) == len(drawn.up)
    assert all(second > first for (first, _), (second, _) in itertools.pairwise(drawn.across))


def test_settings_that_differ_from_the_defaults_are_marked():
    config = defaults.get_config()
    config.train.steps = 7
    config.objective = defaults.block(name="hinge", critic_updates=5, extra="")
    found = {setting.key: setting for setting in report_page.settings(config)}
    assert found["train.steps"] == Setting("train.steps", "7", "40000", True)
    assert found["objective.name"] == Setting("objective.name", "hinge", "wgan_gp", True)
    assert found["objective.extra"] == Setting("objective.extra", "''", "", True)
    assert not found["objective.critic_updates"].changed and not found["train.seed"].changed
    assert not found["train.batch_size"].changed and "objective.penalty" not in found


def test_evaluate_writes_the_page_of_a_run_anew_unless_it_trains(begin, tmp_path):
    run = tmp_path / "run"
    writer, log = begin()
    config = defaults.get_config()
    config.data.size = 8
    run_config.write(run, config, DatasetInfo("0" * 64, 9, {"a": 9}))
    train(writer, log, range(1, 9))
    log.write_page(8, "finished")
    writer.close()
    moment = run_page.read_moment(run / "report.html")
    assert moment.status == "finished" and moment.environment["device_kind"] == "toy <u>"
    with locks.try_lock(run / ".lock"):
        before = (run / "report.html").read_bytes()
        report_page.refresh(run, in_bucket=False)
        assert (run / "report.html").read_bytes() == before
    for in_bucket, status in ((True, "running"), (False, "interrupted")):
        told = json.dumps(moment._replace(status="running")._asdict())
        (run / "report.html").write_text(f'<script type="application/json" id="run">{told}</script>')
        report_page.refresh(run, in_bucket=in_bucket)
        page, text = text_of(run)
        assert run_page.read_moment(run / "report.html").status == status
        assert "wgan_gp with wgan networks on 9 images of 8 x 8 x 3" in text and len(shown(page)) == 8
    (run / "report.html").unlink()
    summary = {"status": "finished", "step": 8, "devices": 4, "cost": {"dollars": 2.5}}
    files.write_json(run / "summary.json", summary)
    (run / "evaluation.json").write_text("{}")  # of another program
    report_page.refresh(run, in_bucket=False)
    text = text_of(run)[1]
    assert "finished" in text and "$2.50" in text and "devices 4" in text and "Measured by evaluate" not in text
