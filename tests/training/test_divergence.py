"""The guard: what dies is seen soon, what lives is left alone, and nothing but the log decides."""

import math
import os

import numpy as np
import pytest
from conftest import drawing, four, on_toy_networks, sgd, summary

from data_prep import write_tfrecords
from data_prep.pictures.convert import ImageSpec, Item, encode_png
from logogan_jax import loop
from logogan_jax.config import build_run
from logogan_jax.training import divergence, nonfinite
from logogan_jax.training.checkpoints import Restored
from logogan_jax.training.reporting import run_writer
from logogan_jax.training.reporting.run_writer import RunWriter
from logogan_jax.training.rollback import DivergenceGuard
from logogan_jax.training.train_state import TrainState

KID = "evaluation/kid_toy"


def log(steps, name, values):
    return [{"step": step, name: value} for step, value in zip(steps, values, strict=True)]


def look(step, value, width=0.01):
    return {"step": step, KID: value, f"{KID}_low": value - width, f"{KID}_high": value + width}


def signs(lines, largest=100.0):
    return {sign.name: sign.lasting for sign in divergence.symptoms(lines, kid=KID, max_score_gap=largest)}


def test_a_healthy_log_gives_no_sign():
    random = np.random.default_rng(0)
    lines = []
    for step in range(50, 4001, 50):
        # Numbers of real runs: diversity rises from next to nothing and jumps, the gap grows slowly.
        diversity = min(1.0, step / 400) * random.uniform(0.7, 1.1)
        lines.append({"step": step, "critic/gap": random.uniform(1, 25), "samples/diversity": diversity})
        if step % 500 == 0:
            lines.append(look(step, 0.1 + 0.5 * math.exp(-step / 500) + random.uniform(-0.02, 0.02)))
        assert not signs(lines), step


def test_a_gap_beyond_what_a_critic_can_show_warns_at_once_and_lasts_fifty_steps_later():
    lines = log(range(50, 301, 50), "critic/gap", [3, 3, 3, 3, 101, 99])
    assert signs(lines[:5]) == {"gap": False} and signs(lines) == {}
    assert signs(log(range(50, 301, 50), "critic/gap", [3, 3, 3, 3, 101, 5000])) == {"gap": True}
    # Lines of every step: two of them are no fifty steps.
    assert signs(log(range(1, 50), "critic/gap", [101.0] * 49)) == {"gap": False}
    assert signs(log(range(1, 52), "critic/gap", [101.0] * 51)) == {"gap": True}


def test_the_largest_gap_is_the_distance_of_black_and_white():
    black, white = -np.ones((28, 28, 3)), np.ones((28, 28, 3))
    assert divergence.max_score_gap((28, 28, 3)) == pytest.approx(np.linalg.norm(white - black))


def test_samples_that_become_alike_are_seen_by_what_they_were():
    rising = [0.1, 0.5, 0.9, 0.8]
    steps = range(50, 50 * 9, 50)
    assert signs(log(steps, "samples/diversity", [*rising, 0.2, 0.2, 0.2, 0.2])) == {"diversity": True}
    assert signs(log(steps, "samples/diversity", [*rising, 0.5, 0.2, 0.2, 0.2])) == {"diversity": False}
    assert signs(log(steps, "samples/diversity", [*rising, 0.2, 0.2, 0.2, 0.3])) == {}
    # A generator that has only begun is not dying.
    assert signs(log(steps, "samples/diversity", [0.05, 0.04, 0.03, 0.02, 0.03, 0.02, 0.02, 0.02])) == {}


def test_a_kernel_distance_far_above_the_best_lasts_with_the_second_evaluation():
    lines = [look(1000, 0.5), look(2000, 0.1), look(3000, 0.15), look(4000, 0.5), look(5000, 0.4)]
    assert signs(lines[:3]) == {} and signs(lines[:4]) == {"distance": False} and signs(lines) == {"distance": True}
    # Intervals that reach the best prove nothing.
    assert signs([look(1000, 0.1), look(2000, 0.5, width=0.4), look(3000, 0.5, width=0.4)]) == {}
    # What is nearly perfect may become slightly less so.
    assert signs([look(1000, 0.0001, 0.0002), look(2000, 0.008, 0.0002), look(3000, 0.008, 0.0002)]) == {}
    assert divergence.best_line(lines, KID)["step"] == 2000


def test_what_has_lasted_comes_first():
    lines = [*log([50, 100, 150], "critic/gap", [1, 200, 200]), look(150, 0.1), look(200, 0.5)]
    found = divergence.symptoms(lines, kid=KID, max_score_gap=100)
    assert [sign.name for sign in found] == ["gap", "distance"] and [sign.lasting for sign in found] == [True, False]
    assert "200 apart, where 100 is the most" in found[0].reason
    assert "0.5000, and was 0.1000 at step 150" in found[1].reason


def test_samples_more_diverse_than_the_real_images_may_become_as_alike_as_these():
    # Nearly equal images: noise is thousands of times as diverse, and what has learnt them is not.
    steps = range(50, 50 * 9, 50)
    assert signs(log(steps, "samples/diversity", [3000, 900, 40, 3, 1.1, 0.9, 1.0, 1.1])) == {}
    assert signs(log(steps, "samples/diversity", [3000, 900, 40, 3, 0.2, 0.2, 0.2, 0.2])) == {"diversity": True}


def test_a_sign_says_since_when():
    lines = log(range(50, 301, 50), "critic/gap", [3, 3, 101, 99, 102, 5000])
    (sign,) = divergence.symptoms(lines, kid=KID, max_score_gap=100)
    assert sign.since == 250


def test_an_evaluation_without_an_interval_is_no_sign():
    lines = [{"step": 1000, KID: 0.1}, look(2000, 0.5), {"step": 3000, KID: 0.5}]
    assert signs(lines) == {}
    assert signs([look(1000, 0.1), {"step": 2000, KID: 0.5}]) == {}


class Monitor:
    """What a guard asks: planted signs and best steps."""

    def __init__(self, since, best=()):
        self.since = since
        self.best = list(best)

    def symptoms(self):
        return [divergence.Symptom("gap", "it is planted", True, self.since)]

    def best_steps(self):
        return self.best

    def cancel(self):
        pass


class Checkpoints:
    """Checkpoints of every hundredth step."""

    def __init__(self, steps):
        self.kept = list(steps)

    def steps(self):
        return self.kept

    def is_regular(self, step):
        return step % 100 == 0

    def wait(self):
        pass

    def restore_newest(self, like, say, most):
        return Restored(most, like) if most else None

    def delete_after(self, step):
        pass


@pytest.mark.parametrize(
    ("since", "best", "saved", "target"),
    [
        (350, [], [300, 400, 500], 300),  # and not 500, which has the sign
        (300, [], [300, 400, 500], 0),  # all have it
        (350, [400, 200], [200, 300, 400], 200),  # the best of all has it, the best before does not
        (350, [400], [300, 400], 300),
        (600, [200], [200, 300, 400], 200),
        (350, [], [250, 310, 400], 0),  # saved by a clock
    ],
)
def test_a_roll_back_goes_to_before_the_sign(tmp_path, since, best, saved, target):
    writer = RunWriter(tmp_path, 0)
    guard = DivergenceGuard(
        "on", writer, Monitor(since, best), Checkpoints(saved), None,
        init_state=lambda: TrainState(*[None] * 7), place=lambda state: state, say=lambda line: None,
    )  # fmt: skip
    back = guard.check(500, TrainState(*[None] * 7))
    writer.close()
    assert back.step == target and writer.events[-1]["to"] == target


def test_a_checkpoint_before_a_sign_is_kept_until_it_is_known_whether_it_lasts():
    guard = DivergenceGuard(
        "on", None, Monitor(350, [400]), Checkpoints([200, 300, 400]), None,
        init_state=None, place=None, say=None,
    )  # fmt: skip
    assert guard.steps_to_keep() == [400, 300]


@pytest.mark.slow
def test_sixty_equal_images_are_trained_on_without_a_sign(toy_networks, tmp_path):
    items = [Item(f"{i}.png", 0, encode_png(drawing(3))) for i in range(60)]
    write_tfrecords.write(
        items, tmp_path / "shards", spec=ImageSpec(28), name="a", labels=[], description="", workers=0
    )
    loop.train(sgd(on_toy_networks(four(tmp_path / "shards"), "plain")), tmp_path / "run")
    lines = run_writer.read_lines(tmp_path / "run" / "metrics.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4] and "critic/loss" in lines[0]
    assert not any("samples/diversity" in line for line in lines) and not summary(tmp_path / "run")["events"]


@pytest.mark.parametrize("count", [1, 60])
def test_equal_images_have_no_spread_to_compare_with(count):
    pixels = np.full((count, 8, 8, 3), 77, np.uint8)
    assert math.isnan(build_run.spread(pixels))
    other = np.concatenate([pixels, pixels + 1])
    assert build_run.spread(other) > 0


def test_the_newest_of_what_was_not_finite_is_told_by_names_and_by_no_clock(tmp_path):
    for age, name in enumerate(["000350-again", "000500", "000200"]):
        (tmp_path / "nonfinite" / name).mkdir(parents=True)
        about = tmp_path / "nonfinite" / name / "about.json"
        about.write_text("{}")
        os.utime(about, (1e9 + age, 1e9 + age))
    assert nonfinite.newest(tmp_path).name == "000350-again"
