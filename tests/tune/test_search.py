"""What a study tunes: which keys, within which ranges, and how a trial becomes a command."""

import sys

import pytest
from studies import BASE, CONFIG, RANGES

from logogan_jax.core.errors import UserError
from logogan_jax.tune import search, search_space


def test_trials_are_the_training_command_with_other_values_and_as_many_images():
    base = {**BASE, "train.steps": 1000, "data.dir": ""}
    wanted = search.Plan("c.py", base, {"data.dir": "my logos"}, {"train.batch_size": search_space.choice(32, 64, 128)})
    assert wanted.command({"train.batch_size": 64}, "w") == [
        sys.executable, "-m", "logogan_jax.main", "--config=c.py", "--config.data.dir=my logos",
        "--config.report.keep=1", "--workdir=w",
    ]  # fmt: skip
    assert "--config.train.steps=2000" in wanted.command({"train.batch_size": 32}, "w")
    assert wanted.shell_command({"train.batch_size": 128}, "w") == (
        "python -m logogan_jax.main --config=c.py '--config.data.dir=my logos' --config.train.batch_size=128 "
        "--config.train.steps=500 --workdir=w"
    )
    assert wanted.images({"train.batch_size": 128}, 500) == 1000 * 64
    both = wanted._replace(ranges={**wanted.ranges, "train.steps": search_space.even(10, 1000)})
    assert both.settings({"train.batch_size": 32, "train.steps": 1000}) == {
        "data.dir": "my logos", "train.batch_size": 32,
    }  # fmt: skip


def test_drawn_numbers_are_short_and_stay_in_their_range():
    base = {**BASE, "a": 1.23456789, "b": 0.5}
    wanted = search.Plan("c.py", base, {}, {"a": search_space.even(0.5, 2.5), "b": search_space.even(0, 0.99996)})
    assert wanted.settings({"a": 1.98765432, "b": 0.99996}) == {"a": 1.988, "b": 0.99996}
    assert wanted.settings({"a": 1.23456789, "b": 0.5}) == {}


def test_the_table_holds_what_the_config_has():
    base = {
        "optimizer.critic.learning_rate": 1e-4, "optimizer.critic.b1": 0.9, "optimizer.generator.learning_rate": 2e-4,
        "train.batch_size": 64, "objective.critic_updates": 7, "objective.penalty": 0.0, "model.width": 8,
    }  # fmt: skip
    found = search_space.default_ranges(base)
    assert found.keys() == base.keys() - {"objective.penalty", "model.width"}
    assert found["optimizer.critic.b1"].values == (0.0, 0.5, 0.9)
    assert found["optimizer.generator.learning_rate"] == (pytest.approx(4e-5), pytest.approx(1e-3), True)
    assert found["train.batch_size"].values == (32, 64, 128)
    assert found["objective.critic_updates"][:2] == (1, 7)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ("{'optimizer.critic.lerning_rate': log(1e-5, 1e-3)}",
         "'optimizer.critic.lerning_rate' is not a key of the config: did you mean 'optimizer.critic.learning_rate'"),
        ("{'train.seed': even(0, 9)}", "'train.seed' cannot be tuned, for its trials could not be compared"),
        ("{'objective.critic_updates': even(1.5, 6)}", "may be 1.5, but in the config it is 5, another kind"),
        ("{'objective.critic_updates': even(5, 5)}", "goes from 5 to 5: it should be upwards"),
        ("{'objective.penalty': log(0, 20)}", "goes from 0.0 to 20.0: it should be upwards and above 0"),
        ("{'objective.critic_updates': choice(1, 2)}", "leaves out 5, the config's own value"),
        ("{'objective.critic_updates': (1, 6)}", r"is \(1, 6\): it should be choice\(...\), even\(low, high\)"),
        ("{}", "leaves nothing to tune"),
    ],
)  # fmt: skip
def test_a_range_that_cannot_be_is_named_in_one_line(tmp_path, own, message):
    path = tmp_path / "mine.py"
    path.write_text(f"from logogan_jax.tune.search_space import choice, even, log\ndef ranges():\n    return {own}\n")
    base = {**BASE, "objective.penalty": 10.0, "train.seed": 0}
    with pytest.raises(UserError, match=message) as caught:
        search_space.read_ranges(path, base, fixed={})
    assert "\n" not in str(caught.value)


def test_a_key_of_the_command_line_is_not_tuned():
    assert search_space.read_ranges(CONFIG, BASE, fixed={}).keys() == RANGES.keys()
    left = search_space.read_ranges(CONFIG, BASE, fixed={"objective.critic_updates": 5})
    assert left == {"optimizer.critic.learning_rate": (1e-5, 1e-3, True)}
    with pytest.raises(UserError, match="leaves nothing to tune, all of them given on the command line"):
        search_space.read_ranges(CONFIG, BASE, fixed=RANGES)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"evaluate.every_images": 0}, r"every_images is 0, .*: set --config.evaluate.every_images=64000"),
        ({"evaluate.every_images": 512_000}, r"512,000 images is evaluated at its end alone, .*every_images=64000"),
        ({"data.held_out": 0.0}, "config.data.held_out is 0, .*: set it to 0.1"),
    ],
)
def test_trials_that_could_not_be_judged_are_refused(changes, message):
    search.check(search.Plan("c.py", {**BASE, "evaluate.every_images": 511_000}, {}, RANGES))
    with pytest.raises(UserError, match=message):
        search.check(search.Plan("c.py", {**BASE, **changes}, {}, RANGES))


def test_another_study_is_not_mixed_in(tmp_path):
    path, wanted = tmp_path / "study.json", search.Plan("c.py", BASE, {}, RANGES)
    search.save_or_compare(wanted, path)
    search.save_or_compare(wanted, path)
    search.save_or_compare(wanted._replace(base={**BASE, "report.keep": 9}), path)
    with pytest.raises(UserError, match=r"config.train.steps is 9, but the study in .* was started with 8000"):
        search.save_or_compare(wanted._replace(base={**BASE, "train.steps": 9}), path)
    with pytest.raises(UserError, match=r"the range of objective.critic_updates is None, but the study in"):
        search.save_or_compare(
            wanted._replace(ranges={"optimizer.critic.learning_rate": search_space.log(1e-5, 1e-3)}), path
        )
    path.write_text("{")
    with pytest.raises(UserError, match="is not a study's"):
        search.save_or_compare(wanted, path)
