"""A run measures itself against images it never saw, keeps its best, and goes back from what kills it."""

import json
import shutil
import subprocess

import jax
import numpy as np
import pytest
from conftest import (
    ROOT,
    command,
    devices,
    drawing,
    environment,
    evaluate_command,
    four,
    on_toy_networks,
    pictures,
    summary,
)
from toy_networks import toy_features

from logogan_jax import loop, replay, sample
from logogan_jax.config import (
    build_training,
    copies,
    default_dataset,
    defaults,
    measuring,
    restore,
    run_config,
    scoring,
)
from logogan_jax.config.drawer import Drawer
from logogan_jax.core import images
from logogan_jax.core.errors import Diverged, UserError
from logogan_jax.core.intervals import Estimate
from logogan_jax.data.dataset import TFRecordDataset
from logogan_jax.metrics import evaluator, features, tables
from logogan_jax.networks import mark
from logogan_jax.networks.augmented_critic import AugmentedCritic
from logogan_jax.training import divergence
from logogan_jax.training.drawing import picture_files
from logogan_jax.training.drawing.addresses import Address
from logogan_jax.training.model import merge
from logogan_jax.training.reporting import run_writer

pytestmark = pytest.mark.usefixtures("toy_networks")
KID = "evaluation/kid_toy"
EVALUATE = evaluate_command()
LOAD_NETWORK = features.load_network


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    """A feature network that costs nothing."""
    network = toy_features()
    monkeypatch.setattr(features, "load_network", lambda spec, key="": network)
    return network


def measured(shards, **changes):
    """A config of four steps that holds out half of the 50 images and measures every second step."""
    measures = {"data.held_out": 0.5, "evaluate.every_images": 16, "evaluate.samples": 24, "evaluate.features": "toy"}
    return on_toy_networks(four(shards, **{"report.samples_every": 0, **measures, **changes}))


def looks(workdir):
    return [line for line in run_writer.read_lines(workdir / "metrics.jsonl") if KID in line]


@pytest.fixture(scope="module")
def whole(shards, tmp_path_factory):
    """A function that trains the measured config once, in a folder shared by the tests of this file."""
    folder = tmp_path_factory.mktemp("measured") / "run"

    def trained():
        if not folder.exists():
            loop.train(measured(shards, **{"report.samples_every": 2}), folder)
        return folder

    return trained


@pytest.fixture(scope="module")
def half(shards, tmp_path_factory):
    """A function that copies the first two steps of the measured config, which are trained once, to a folder."""
    folder = tmp_path_factory.mktemp("half") / "run"

    def copied(workdir):
        if not folder.exists():
            loop.train(measured(shards, **{"train.steps": 2}), folder)
        return shutil.copytree(folder, workdir)

    return copied


@pytest.mark.slow
def test_a_run_measures_itself_and_draws_its_best(whole):
    run = whole()
    assert [line["step"] for line in looks(run)] == [2, 4]
    best = min(looks(run), key=lambda line: line[KID])
    found = summary(run)["best"]
    assert found["step"] == best["step"] and found["kid_toy"]["value"] == best[KID]
    assert best[f"{KID}_low"] <= best[KID] <= best[f"{KID}_high"]
    for metric in ("fd", "precision", "recall", "density", "coverage", "diversity"):
        assert np.isfinite(best[f"evaluation/{metric}_toy"])
    drawn = pictures(run / "samples")
    np.testing.assert_array_equal(drawn["best.png"], drawn[f"{best['step']:06d}.png"])
    assert (run / "quality.png").stat().st_size > 0
    assert summary(run)["evaluation_seconds"] > 0 and summary(run)["events"] == []
    assert all(
        line["samples/diversity"] > 0 for line in run_writer.read_lines(run / "metrics.jsonl") if KID not in line
    )


def test_the_numbers_are_those_of_the_metrics_on_the_runs_own_pictures(whole, toy, shards):
    config = build_training.resolve(measured(shards))
    made = build_training.build(config, devices=jax.devices()[:1])
    measure = made.make_evaluator()
    run = restore.restore(whole(), "4")
    placed = made.parallel.device_put(run.state, made.runner.layout)
    found, _ = measure.observe(placed)
    assert found.features.head.shape == (24, 12)
    assert [len(each) for each in found.scores] == [24, 24, 24]
    now, then = evaluator.to_log_scalars(measure.measure(found), 0.0), looks(whole())[1]
    for name, value in now.items():
        # The run was measured on four devices and this state on one.
        assert name == "evaluation/seconds" or then[name] == pytest.approx(value, rel=1e-3, abs=1e-3), name


def test_the_critic_scores_what_it_was_trained_on_but_without_augmentation_and_dropout(shards):
    changes = {"augment.policy": "diffaugment", "mark.inks": 1}
    made = build_training.build(build_training.resolve(measured(shards, **changes)), devices=jax.devices()[:1])
    pixels, label = made.held_out.images(np.arange(9))
    networks = merge(made.model.graphdefs, made.state.params, made.state.model_state)
    covered = mark.image_coverage(images.to_float(pixels))
    assert covered.shape[-1] == 1 and isinstance(networks.critic, AugmentedCritic)
    by_hand = networks.critic.critic(covered, label, train=False)
    np.testing.assert_allclose(made.model.score(made.state, pixels, label), by_hand, rtol=1e-5, atol=1e-6)


def test_evaluate_says_how_far_the_critic_overfits(whole):
    run = restore.restore(whole(), "4")
    pixels = restore.draw(run, count=30, seed=1)
    found = scoring.score_images(run, pixels, seed=1)["critic"]
    train, held_out = restore.subsets(run)
    for name, (those, labels) in {
        "train": train.images(np.arange(25)),
        "held_out": held_out.images(np.arange(25)),
        "pictures": (pixels, np.zeros(30, np.int32)),
    }.items():
        assert found[name] == pytest.approx(float(run.model.score(run.state, those, labels).mean()), abs=1e-5)
    assert set(found["overfitting"]) == {"value", "low", "high"}


def test_held_out_images_are_never_trained_on(shards):
    config = build_training.resolve(measured(shards))
    made = build_training.build(config, devices=jax.devices()[:1])
    opened = TFRecordDataset(shards, size=(28, 28), channels=3)
    assert (len(made.train), len(made.held_out)) == (25, 25)
    np.testing.assert_array_equal(made.held_out.pixels(1)[0], opened.image(25)[0])
    seen = {image.tobytes() for step in range(9) for image in batch(made, step)}
    held_out = {image.tobytes() for image in made.held_out.pixels()}
    assert len(seen) == 25 and not seen & held_out


def batch(made, step):
    feed = made.runner.source.at(step, 1)
    return np.asarray(feed.image)[np.asarray(feed.index).reshape(-1)]


@pytest.mark.slow
def test_a_set_too_small_to_measure_against_is_trained_on_whole(shards, tmp_path, capsys):
    made = build_training.build(
        build_training.resolve(measured(shards, **{"data.held_out": 0.1})), devices=jax.devices()[:1]
    )
    assert (len(made.train), len(made.held_out)) == (50, 0)
    loop.train(measured(shards, **{"data.held_out": 0.1, "train.steps": 2}), tmp_path / "run")
    assert "50 images to train on, none held out" in capsys.readouterr().err
    assert "best" not in summary(tmp_path / "run")


@pytest.mark.slow
def test_a_resumed_run_measures_the_same(whole, half, shards, tmp_path):
    half(tmp_path / "run")
    loop.train(measured(shards), tmp_path / "run")
    keep = lambda line: {name: value for name, value in line.items() if "seconds" not in name}
    assert [keep(line) for line in looks(tmp_path / "run")] == [keep(line) for line in looks(whole())]


@pytest.mark.slow
def test_pmap_measures_the_same(whole, shards, tmp_path):
    loop.train(measured(shards, **{"train.parallel": "pmap"}), tmp_path / "run")
    for ours, theirs in zip(looks(tmp_path / "run"), looks(whole()), strict=True):
        assert ours[KID] == pytest.approx(theirs[KID], rel=1e-3)


@pytest.mark.slow
def test_a_run_killed_before_its_evaluation_was_written_evaluates_again(whole, half, shards, tmp_path):
    path = half(tmp_path / "run") / "metrics.jsonl"
    lines = [line for line in run_writer.read_lines(path) if KID not in line]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    loop.train(measured(shards), tmp_path / "run")
    assert [line[KID] for line in looks(tmp_path / "run")] == [line[KID] for line in looks(whole())]


@pytest.mark.slow
def test_the_best_checkpoints_are_kept_beside_the_newest(shards, tmp_path, monkeypatch):
    falls_then_rises = iter([0.5, 0.1, 0.3, 0.2, 0.4])

    def measure(self, found):
        value = next(falls_then_rises)
        return {"kid_toy": Estimate(value, value - 0.01, value + 0.01)}

    monkeypatch.setattr(evaluator.Evaluator, "measure", measure)
    config = measured(shards, **{"train.steps": 10, "report.keep": 1, "report.keep_best": 2})
    loop.train(config, tmp_path / "run")
    assert sorted(int(path.name) for path in (tmp_path / "run" / "checkpoints").iterdir()) == [4, 8, 10]
    assert restore.restore(tmp_path / "run", "best").step == 4
    assert restore.restore(tmp_path / "run", "newest").step == 10
    assert restore.restore(tmp_path / "run", "8").step == 8


# ── The guard at work ───────────────────────────────────────────────────────────────────────


@pytest.fixture
def dying(monkeypatch):
    """The guard sees a lasting sign at step 6, until the run has been rolled back `times` times."""

    def symptoms(lines, *, kid, max_score_gap):
        if lines[-1]["step"] == 6 and len(seen) < symptoms.times:
            seen.append(6)
            return [divergence.Symptom("gap", "it is planted", True)]
        return []

    seen = []
    symptoms.times = 1
    monkeypatch.setattr(divergence, "symptoms", symptoms)
    return symptoms


def eight(shards, **changes):
    return measured(shards, **{"train.steps": 8, "report.log_every": 2, **changes})


@pytest.mark.slow
def test_a_dying_run_goes_back_once_with_a_lower_rate_and_may_be_stopped_then(dying, shards, tmp_path, capsys):
    config = eight(shards, **{"report.keep": 4})
    loop.train(config, tmp_path / "run")
    found = summary(tmp_path / "run")
    assert found["status"] == "finished" and found["step"] == 8
    warned, back = found["events"]
    assert (warned["action"], warned["step"], warned["sign"]) == ("warn", 6, "gap")
    assert (back["action"], back["step"], back["rate"]) == ("roll back", 6, divergence.LR_SCALE)
    best = min((line for line in looks(tmp_path / "run") if line["step"] <= 4), key=lambda line: line[KID])
    assert back["to"] == best["step"] and "it is planted" in back["reason"]
    assert f"Going back to step {best['step']} with {divergence.LR_SCALE} times" in " ".join(
        capsys.readouterr().err.split()
    )
    lines = run_writer.read_lines(tmp_path / "run" / "metrics.jsonl")
    assert [line["step"] for line in lines if KID not in line] == [2, 4, 6, 8]
    gone = run_writer.read_lines(tmp_path / "run" / "rolled_back.jsonl")
    assert gone[-1]["step"] == 6 and min(line["step"] for line in gone) > back["to"]
    assert float(restore.restore(tmp_path / "run", "newest").state.lr_scale) == np.float32(divergence.LR_SCALE)
    dying.times = 0
    # What a kill leaves right after the roll-back: older states, the lines up to them, and what was done.
    broken = tmp_path / "broken"
    shutil.copytree(tmp_path / "run", broken)
    for folder in (broken / "checkpoints").iterdir():
        if int(folder.name) > back["to"]:
            shutil.rmtree(folder)
    assert list((broken / "checkpoints").iterdir())
    loop.train(config, broken)
    assert summary(broken)["state_sha256"] == summary(tmp_path / "run")["state_sha256"]
    assert [event["action"] for event in summary(broken)["events"]] == ["warn", "roll back"]


@pytest.mark.slow
def test_a_run_that_dies_again_is_stopped_with_its_reason(dying, shards, tmp_path):
    dying.times = 2
    with pytest.raises(Diverged, match=r"step 6: it is planted, once more: lower config.optimizer"):
        loop.train(eight(shards), tmp_path / "run")
    found = summary(tmp_path / "run")
    assert found["status"] == "diverged" and found["step"] == 6 and "it is planted" in found["reason"]
    assert [event["action"] for event in found["events"]] == ["warn", "roll back", "warn", "stop"]
    assert found["best"]["kid_toy"]["value"] > 0


@pytest.mark.slow
def test_the_guard_only_warns_or_is_off_where_asked(dying, shards, tmp_path):
    loop.train(eight(shards, **{"evaluate.guard": "warn"}), tmp_path / "warn")
    assert [event["action"] for event in summary(tmp_path / "warn")["events"]] == ["warn"]
    dying.times = 2
    loop.train(eight(shards, **{"evaluate.guard": "off"}), tmp_path / "off")
    assert summary(tmp_path / "off")["events"] == []


@pytest.mark.slow
def test_a_lower_rate_is_a_lower_rate(tiny):
    made = build_training.build(on_toy_networks(tiny("gan")), devices=jax.devices()[:1])
    change = {}
    for rate in (1.0, 0.25):
        start = jax.tree.map(np.asarray, jax.device_get(made.model.init_state()))
        state = made.parallel.device_put(start._replace(lr_scale=np.float32(rate)), made.runner.layout)
        after, _ = made.runner.program(1)(state, made.runner.source.at(0, 1))
        kernel = lambda state: np.asarray(state.params["critic"]["out"]["kernel"])
        change[rate] = kernel(after) - kernel(start)
        assert float(after.lr_scale) == rate
    np.testing.assert_allclose(change[0.25], 0.25 * change[1.0], rtol=1e-3, atol=1e-8)


# ── What is not finite ──────────────────────────────────────────────────────────────────────


def exploding(shards, **changes):
    """A critic whose rate is fine until its fourth update and infinite there."""
    config = measured(shards, **{"train.steps": 8, "report.log_every": 2, **changes})
    config.optimizer.critic = defaults.block(name="adam", learning_rate=1e-3, b1=0.5, b2=0.9, decay=-1 / 4)
    return config


@pytest.mark.slow
def test_what_made_a_number_infinite_is_kept_and_replayed(shards, tmp_path):
    with pytest.raises(Diverged, match=r"step [56]: .* of the (critic|generator) is .*, once more"):
        loop.train(exploding(shards), tmp_path / "run")
    assert [event["action"] for event in summary(tmp_path / "run")["events"]] == ["roll back", "stop"]
    for again in ("", "-again"):
        (folder,) = (path for path in (tmp_path / "run" / "nonfinite").iterdir() if path.name[6:] == again)
        config, about = run_config.read(tmp_path / "run")
        again = replay.replay(folder, config, about)
        bad = again.now
        assert (bad.step, bad.name) == (again.recorded.step, again.recorded.name) == (int(folder.name[:6]), bad.name)
        assert not np.isfinite(again.metrics[bad.name]).all()


@pytest.mark.slow
def test_a_run_that_dies_before_its_first_checkpoint_begins_again_at_a_lower_rate(shards, tmp_path):
    changes = {"evaluate.every_images": 0, "report.checkpoint_every": 0, "report.samples_every": 0}
    config = exploding(shards, **changes)
    with pytest.raises(Diverged, match="once more"):
        loop.train(config, tmp_path / "run")
    back, stop = summary(tmp_path / "run")["events"]
    assert (back["action"], back["to"], stop["action"]) == ("roll back", 0, "stop")
    assert [line["step"] for line in run_writer.read_lines(tmp_path / "run" / "rolled_back.jsonl")] == [2, 4]
    lines = run_writer.read_lines(tmp_path / "run" / "metrics.jsonl")
    gone = run_writer.read_lines(tmp_path / "run" / "rolled_back.jsonl")
    assert lines[0]["critic/loss"] != gone[0]["critic/loss"], "the second beginning has another rate"


@pytest.mark.slow
def test_without_a_guard_a_number_that_is_not_finite_still_ends_the_run(shards, tmp_path):
    with pytest.raises(Diverged, match=r"step [56]: .* training has diverged: lower config.optimizer.critic"):
        loop.train(exploding(shards, **{"evaluate.guard": "off"}), tmp_path / "run")
    assert summary(tmp_path / "run")["status"] == "diverged"
    assert (tmp_path / "run" / "nonfinite").is_dir()


def test_a_run_without_such_a_number_has_nothing_to_replay(whole, call):
    with pytest.raises(UserError, match="every number of that run was finite"):
        call(replay, f"--workdir={whole()}")


# ── Measured afterwards ─────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_samples_that_copy_training_images_are_left_out(whole, monkeypatch):
    run = restore.restore(whole(), "best")
    finder = copies.CopyFinder(run)
    drawer = Drawer(run)

    def paint(latents):
        """Noise, but every fourth picture is a training image, moved by a pixel."""
        noise = np.random.default_rng(0).integers(0, 256, (len(latents.z), 28, 28, 3), np.uint8)
        noise[::4] = np.roll(finder.training[np.arange(len(noise[::4])) % len(finder.training)], 1, axis=2)
        return noise

    monkeypatch.setattr(drawer, "paint", paint)
    originals, left_out = copies.find_originals(drawer, finder, count=60, seed=7)
    assert originals == [Address(7, i) for i in range(128) if i % 4][:60] and left_out == 32
    monkeypatch.setattr(drawer, "paint", lambda latents: finder.training[np.arange(len(latents.z)) % 25])
    with pytest.raises(UserError, match=r"--no_copies: of 1,280 pictures only 0 are no copies: this run has memorised"):
        copies.find_originals(drawer, finder, count=5, seed=0)


@pytest.mark.slow
def test_each_picture_is_shown_beside_the_training_image_that_is_nearest(whole, monkeypatch, call, tmp_path):
    trained, _ = restore.real_images(restore.restore(whole(), "best"), features.load_network("toy"))

    def paint(drawer, latents, scale=1, *, transparent=False):
        """Two training images, moved by a pixel, and noise."""
        noise = np.random.default_rng(0).integers(0, 256, (len(latents.z), 28, 28, 3), np.uint8)
        noise[:2] = np.roll(trained.pixels[[3, 7]], 1, axis=2)
        return noise

    monkeypatch.setattr(Drawer, "paint", paint)
    said = call(sample, f"--workdir={whole()}", f"--out={tmp_path / 'out'}", "--num=4", "--nearest")
    assert "; 2 count as copies of training images, see nearest.png" in said
    rows = json.loads((tmp_path / "out" / "pictures.json").read_text())["pictures"]
    assert [row["nearest"]["copied"] for row in rows] == [True, True, False, False]
    assert [row["nearest"]["image"] for row in rows[:2]] == [3, 7] and rows[0]["nearest"]["distance"] < 1
    dataset = restore.training_dataset(restore.restore(whole(), "best"))
    assert rows[0]["nearest"]["name"] == dataset.name(3) != dataset.name(7)
    drawn = pictures(tmp_path / "out")
    np.testing.assert_array_equal(drawn["00001-nearest.png"], trained.pixels[7])
    red = (drawn["nearest.png"] == picture_files.RED).all(-1).reshape(-1)
    assert red.sum() == 4 * (4 * 27) * 16  # a frame around each of the two pairs, enlarged four times


def test_other_data_than_the_runs_are_refused(whole, shards, tmp_path):
    run = restore.restore(whole(), "best")
    with pytest.raises(UserError, match=r"holds other images .* than .* was trained on"):
        restore.real_images(run._replace(info=run.info._replace(fingerprint="0" * 64)), features.load_network("toy"))


@pytest.mark.parametrize(("step", "message"), [
    ("3", r"--step=3 has no checkpoint in .*: there are 2, 4"),
    ("last", r"--step is 'last': it should be best, newest, or the number of a step"),
])  # fmt: skip
def test_a_step_that_is_not_there_is_named(whole, step, message):
    with pytest.raises(UserError, match=message):
        restore.restore(whole(), step)


@pytest.mark.slow
def test_a_run_is_measured_by_one_command(shards, tmp_path):
    real_run = tmp_path / "run"  # whose training was not measured, for the real feature network
    with devices(1):
        loop.train(four(shards, **{"train.steps": 2, "data.held_out": 0.5, "evaluate.every_images": 0}), real_run)
    flags = (f"--workdir={real_run}", "--num_samples=24", "--real_vs_real")
    done = subprocess.run(
        command("logogan_jax.evaluate", *flags), env=environment(), cwd=ROOT, text=True, capture_output=True
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout
    found = json.loads((real_run / "evaluation.json").read_text())
    assert found["step"] == 2 and found["network"] == "efflite0" and len(found["recipe_sha256"]) == 64
    assert list(found["against"]) == ["held out", "trained on", "real vs real"]
    for column in found["against"].values():
        assert {"kid_efflite0", "fd_efflite0", "precision_efflite0", "n"} <= column.keys()
    kid = found["against"]["held out"]["kid_efflite0"]
    assert kid["low"] < kid["value"] < kid["high"] and f"{kid['value']:.4f}" in said
    floor = found["against"]["real vs real"]["kid_efflite0"]
    assert floor["value"] < kid["low"], "an untrained generator is farther away than real images are"
    told = found["critic"]["overfitting"]["value"]
    assert "overfitting of the critic: " in said and (told is None or f"{told:.4f}" in said)
    assert found["copies"]["n"] == 24 and 0 <= found["copies"]["share"]["low"] <= found["copies"]["share"]["value"]
    assert "compare at the same numbers only" in said and "24 against 25" in said
    page = (real_run / "copies.html").read_text()
    assert page.startswith("<!doctype html>") and page.count("<img") >= 3 * 24
    assert "of 24 pictures are copies of training images" in (real_run / "report.html").read_text()


@pytest.mark.slow
def test_two_folders_are_compared_without_a_model(call, tmp_path, whole):
    for folder, first, more in (("a", 0, ""), ("b", 100, ""), ("c", 0, "c")):
        (tmp_path / folder).mkdir()
        for i in range(12):
            drawing(i + first, size=30 + i).save(tmp_path / folder / f"{more}{i}.png")
    (tmp_path / "a" / "notes.png").write_text("no picture")
    out = tmp_path / "numbers.json"
    said = call(EVALUATE, f"--images={tmp_path / 'a'}", f"--against={tmp_path / 'b'}", "--size=28", f"--out={out}")
    assert "1 files of" in said and "notes.png" in said and "12 against 12" in said
    other = json.loads(out.read_text())["against"][str(tmp_path / "b")]
    call(EVALUATE, f"--images={tmp_path / 'a'}", f"--against={tmp_path / 'c'}", "--size=28", f"--out={out}")
    same = json.loads(out.read_text())["against"][str(tmp_path / "c")]
    assert same["kid_toy"]["value"] < other["kid_toy"]["value"]
    assert same["precision_toy"]["value"] == 1.0 and same["fd_toy"]["value"] == pytest.approx(0, abs=1e-6)
    # A run against a folder of other images.
    said = call(EVALUATE, f"--workdir={whole()}", "--num_samples=24", f"--against={tmp_path / 'b'}")
    assert "24 against 12" in said and "held out" not in said.splitlines()[1]


@pytest.mark.parametrize(("flags", "message"), [
    ((), "give --workdir=RUN, or two folders of images"),
    (("--images=a", "--against=b"), "--size is missing"),
    (("--images=nowhere", "--against=b", "--size=28"), "nowhere"),
    (("--workdir=nowhere",), "--workdir=nowhere holds no run"),
    (("--workdir=nowhere", "--features=efflite0,efflite0"), "should name one network or several, each once"),
    (("--workdir=nowhere", "--features=inception"), "it should be efflite0, ppocr, or inception:PATH"),
])  # fmt: skip
def test_what_cannot_be_measured_is_one_line(call, monkeypatch, flags, message):
    monkeypatch.setattr(features, "load_network", LOAD_NETWORK)
    with pytest.raises(UserError) as caught:
        call(EVALUATE, *flags)
    assert message in str(caught.value) and "\n" not in str(caught.value)


# ── On another machine ──────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def moved(whole, tmp_path_factory):
    """A function that copies the run to a machine that has not its images at their relative path."""

    def copied():
        run = tmp_path_factory.mktemp("moved") / "run"
        shutil.copytree(whole(), run)
        path = run / "config.json"
        content = json.loads(path.read_text())
        content["config"]["data"]["dir"] = "my shards"
        path.write_text(json.dumps(content))
        return run

    return copied


def evaluated(run, *networks, **values):
    """What the command measures of a run with 24 pictures."""
    return measuring.evaluate_run(run, networks, measuring.Options(num_samples=24, **values))


@pytest.fixture(scope="module")
def folder_of_others(tmp_path_factory):
    folder = tmp_path_factory.mktemp("others")
    for i in range(12):
        drawing(i + 100).save(folder / f"{i}.png")
    return str(folder)


def test_a_run_is_measured_against_a_folder_where_its_own_images_are_not(moved, toy, folder_of_others, capsys):
    columns, found = evaluated(restore.restore(moved(), "best"), toy, against=folder_of_others)
    assert list(columns) == [folder_of_others] and columns[folder_of_others]["n_against"] == 12 and found == {}
    said = capsys.readouterr().out
    assert "Copies of the run's own images are not looked for" in said
    assert (
        "was trained on the images in my shards, which is no folder here: say where they lie now by --data=DIR" in said
    )


def test_figures_of_the_network_that_a_critic_looked_through_are_not_trusted(moved, toy, folder_of_others, capsys):
    run = restore.restore(moved(), "best")
    evaluated(run, toy._replace(name="efflite0"), against=folder_of_others)
    assert "too good" not in capsys.readouterr().out
    run.config.model.name = "projected"
    for name in ("efflite0", "ppocr"):
        evaluated(run, toy._replace(name=name), against=folder_of_others)
        said = "The critic of this run looked through efflite0, whose figures are too good here: trust ppocr"
        assert (said in capsys.readouterr().out) is (name == "efflite0")


def test_two_judges_measure_the_same_pictures(moved, toy, folder_of_others):
    other = toy._replace(name="ppocr")
    columns, _ = evaluated(restore.restore(moved(), "best"), toy, other, against=folder_of_others)
    column = columns[folder_of_others]
    assert {"kid_toy", "kid_ppocr", "recall_toy", "recall_ppocr"} <= column.keys() and column["n"] == 24
    assert column["kid_ppocr"]["value"] != column["kid_toy"]["value"]  # the features of ppocr are standardised
    table = tables.format_table(columns, [toy, other])
    assert [line.split()[0] for line in table.splitlines()[2::7]] == ["kid_toy", "kid_ppocr"]
    assert "fd_toy and fd_ppocr grow where" in tables.small_sample_warning(columns, [toy, other])


def test_other_images_at_the_runs_path_do_not_keep_it_from_a_folder(
    moved, toy, folder_of_others, monkeypatch, drawings, tmp_path, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my shards").symlink_to(drawings(28, 28, 3))
    columns, _ = evaluated(restore.restore(moved(), "best"), toy, against=folder_of_others)
    assert list(columns) == [folder_of_others]
    assert "holds other images" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("values", [{}, {"against": "", "real_vs_real": True}])
def test_what_needs_the_runs_own_images_names_the_flag_for_where_they_lie_now(moved, toy, values):
    with pytest.raises(UserError, match=r"my shards, which is no folder here: say where they lie now by --data=DIR"):
        evaluated(restore.restore(moved(), "best"), toy, **values)
    with pytest.raises(UserError, match=r"say where they lie now by --data=DIR"):
        copies.CopyFinder(restore.restore(moved(), "best"))


@pytest.mark.slow
def test_the_images_of_a_run_are_found_where_they_lie_now(moved, toy, shards):
    run = restore.restore(moved(), "best", str(shards))
    columns, found = evaluated(run, toy, data=str(shards))
    assert list(columns) == ["held out", "trained on"] and found["copies"]["n"] == 24
    assert len(copies.CopyFinder(run).training) == 25


def test_the_embedded_logos_of_another_machines_cache_are_those_of_this_one(tiny, monkeypatch, shards):
    drawn = []

    def draw(config):
        drawn.append(config.data.dir)
        config.data.dir = str(shards)

    monkeypatch.setattr(default_dataset, "set_default_dataset", draw)
    config = tiny("gan", data__dir="/home/another/.cache/logogan_jax/data/simple-icons-1-28x28-rgb")
    default_dataset.replace_missing(config)
    assert drawn == [""] and config.data.dir == str(shards)
    default_dataset.replace_missing(config)
    assert drawn == [""], "a folder that is there stays"


def test_a_file_that_holds_something_else_is_not_overwritten(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UserError, match=r"--out=.*thesis.txt is there and was not written by this command"):
        EVALUATE._file_of_numbers(str(tmp_path / "thesis.txt"))
    (tmp_path / "numbers.json").write_text(json.dumps({"network": "efflite0", "network_sha256": "0"}))
    assert EVALUATE._file_of_numbers(str(tmp_path / "numbers.json")) == tmp_path / "numbers.json"
