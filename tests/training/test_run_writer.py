"""The files of a run survive removed folders, a notebook's settings, and numbers that are not finite."""

import contextlib
import errno
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import environment

from logogan_jax.core import files
from logogan_jax.training.reporting import plots
from logogan_jax.training.reporting.run_writer import RunWriter, read_lines

PIXELS = np.zeros((4, 8, 8, 3), np.uint8)
LINES = [{"step": step, "critic/loss": float(step), "evaluation/kid_toy": 0.5} for step in range(4)]


@pytest.fixture
def said():
    return []


@pytest.fixture
def writer(tmp_path, said):
    return RunWriter(tmp_path, 0, said.append)


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["MPLBACKEND", "MATPLOTLIBRC"])
def test_plots_do_not_depend_on_what_a_notebook_or_a_user_has_set(tmp_path, variable):
    settings = tmp_path / "matplotlibrc"
    settings.write_text("text.usetex: True\nfigure.facecolor: red\n")
    values = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "MATPLOTLIBRC": str(settings)}
    script = (
        "import pathlib, sys, os\nfrom logogan_jax.training.reporting import plots\nimport logogan_jax.tune.plots\n"
        f"plots.plot_losses(pathlib.Path(sys.argv[1]), {LINES!r})\nprint(os.environ[{variable!r}])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "there.png"],
        env=environment(**{variable: values[variable]}), check=True, text=True, capture_output=True,
    )  # fmt: skip
    assert done.stdout.strip() == values[variable]  # and the notebook still has it
    plots.plot_losses(tmp_path / "here.png", LINES)
    assert (tmp_path / "there.png").read_bytes() == (tmp_path / "here.png").read_bytes()


def test_plots_in_a_notebook_leave_its_own_style_alone(tmp_path):
    import matplotlib

    before = matplotlib.rcParams["figure.facecolor"]
    matplotlib.rcParams["figure.facecolor"] = "red"
    try:
        plots.plot_losses(tmp_path / "ours.png", LINES)
        assert matplotlib.rcParams["figure.facecolor"] == "red"
    finally:
        matplotlib.rcParams["figure.facecolor"] = before
    plots.plot_losses(tmp_path / "plain.png", LINES)
    assert (tmp_path / "ours.png").read_bytes() == (tmp_path / "plain.png").read_bytes()


def test_folders_that_somebody_removes_while_it_trains_are_made_anew(writer, tmp_path, said):
    for step in (1, 2):
        writer.write_image_grid(step, f"samples/{step}", PIXELS)
        writer.write_scalars(step, {"critic/loss": 1.0})
        writer.write_event(step, "warn", sign="gap")
        while writer._drawings:
            writer._check_drawings()
        if step == 1:
            for folder in ("samples", "tensorboard"):
                shutil.rmtree(tmp_path / folder)
            for name in ("metrics.jsonl", "events.jsonl"):
                (tmp_path / name).unlink()
    writer.write_plots()
    writer.close()
    assert [path.name for path in (tmp_path / "samples").iterdir()] == ["2.png"]
    assert [line["step"] for line in read_lines(tmp_path / "metrics.jsonl")] == [1, 2]
    assert [line["step"] for line in read_lines(tmp_path / "events.jsonl")] == [1, 2]
    (board,) = (tmp_path / "tensorboard").iterdir()
    assert board.stat().st_size > 200 and (tmp_path / "losses.png").exists() and not said


def test_a_picture_that_fails_is_one_warning_and_the_others_are_drawn(writer, tmp_path, said, monkeypatch):
    def broken(*_):
        raise ValueError("no such\nbackend")

    monkeypatch.setattr(plots, "plot_losses", broken)  # the first of two: the last future is not the only one
    (tmp_path / "samples").write_text("a file where a folder should be")
    for step in (1, 2):
        writer.write_scalars(step, {"evaluation/kid_toy": 0.5})
        writer.write_image_grid(step, f"samples/{step}", PIXELS)
        writer.write_plots()
    writer.close()
    assert (tmp_path / "quality.png").exists()
    assert len(said) == 2 and all("\n" not in line and "The run goes on" in line for line in said)
    assert any("losses.png could not be drawn (ValueError: no such)" in line for line in said)
    assert any("samples/1.png could not be drawn (FileExistsError" in line for line in said)


def test_a_full_disk_still_ends_the_run_though_another_picture_came_after(writer, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "losses.png")

    monkeypatch.setattr(plots, "plot_losses", full)
    with pytest.raises(OSError, match="No space left") as caught:
        writer.write_plots()
        writer.close()
    assert caught.value.errno == errno.ENOSPC


def strictly(text):
    """The value of a JSON text, which has no NaN and no Infinity."""

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_numbers_that_are_not_finite_stay_out_of_the_log(writer, tmp_path):
    values = {"critic/loss": 1.0, "samples/diversity": float("nan"), "evaluation/kid_toy_high": float("inf")}
    writer.write_scalars(1, values)
    writer.write_event(1, "roll back", rate=float("nan"))
    writer.write_plots()
    writer.close()
    assert strictly((tmp_path / "metrics.jsonl").read_text()) == {"step": 1, "critic/loss": 1.0} == writer.lines[0]
    assert strictly((tmp_path / "events.jsonl").read_text())["rate"] is None


@pytest.mark.parametrize("place", ["line", "later line", "rolled back", "summary"])
def test_whatever_a_run_has_cost_stays_spent(tmp_path, place):
    line = lambda step, dollars: files.to_json({"step": step, "dollars": dollars}, indent=None)
    (tmp_path / "metrics.jsonl").write_text(line(5, 9.0 if place == "line" else 1.0))
    if place == "later line":  # of a process that was killed after its last checkpoint
        (tmp_path / "metrics.jsonl").write_text(line(5, 1.0) + line(15, 9.0))
    if place == "rolled back":
        (tmp_path / "rolled_back.jsonl").write_text(line(15, 9.0) + line(20, 8.0))
    if place == "summary":  # the last steps of a run have no line
        files.write_json(tmp_path / "summary.json", {"cost": {"dollars": 9.0, "dollars_per_hour": 3.0}})
    with contextlib.closing(RunWriter(tmp_path, 10)) as writer:
        assert writer.dollars == 9.0 and [line["step"] for line in writer.lines] == [5]


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"cost": null}', '{"cost": {}}', "{"])
def test_a_run_without_a_price_has_cost_nothing(tmp_path, text):
    (tmp_path / "summary.json").write_text(text)
    with contextlib.closing(RunWriter(tmp_path, 0)) as writer:
        assert writer.dollars == 0.0


def test_plots_are_drawn_again_where_there_is_more_to_show(writer, monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "plot_losses", lambda path, lines, rolled_back: drawn.append(len(lines)))
    writer.write_scalars(1, {"critic/loss": 1.0})
    writer.write_plots()
    writer.write_plots()
    writer.write_scalars(2, {"critic/loss": 2.0})
    writer.write_plots()
    writer.close()
    assert drawn == [1, 2]


def test_a_plot_of_values_without_intervals_is_drawn(tmp_path):
    lines = [
        *LINES,
        {"step": 9, "evaluation/kid_toy": 0.4, "evaluation/kid_toy_low": 0.3, "evaluation/kid_toy_high": 0.5},
    ]
    plots.plot_quality(tmp_path / "quality.png", lines)
    assert (tmp_path / "quality.png").stat().st_size > 1000


def test_files_of_numbers_stay_json_where_a_number_is_none():
    value = {"a": [float("nan"), (1.5, float("-inf"))], "b": {"c": np.float64("nan")}, "d": None, "e": "NaN"}
    assert strictly(files.to_json(value)) == {"a": [None, [1.5, None]], "b": {"c": None}, "d": None, "e": "NaN"}
