"""The guard: what dies is seen soon, what lives is left alone, and nothing but the log decides."""

import math

import numpy as np
import pytest

from logogan_jax.training import divergence

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
