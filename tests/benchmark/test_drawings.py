"""The scripts that draw pictures of the docs draw the same ones whatever a notebook or a user has set."""

import runpy
import sys

import numpy as np
import pytest
from conftest import ROOT, drawing

sys.path.insert(0, str(ROOT / "benchmarks"))  # whose scripts are no package
import gaussians
import objectives

DRAWING = [path for path in ROOT.glob("benchmarks/*.py") if "matplotlib" in path.read_text(encoding="utf-8")]


def draw_gaussians(path):
    points = np.random.default_rng(0).normal(size=(50, 2)) / 2
    gaussians.draw({(name, updates): points for name in gaussians.NAMES for updates in gaussians.STEPS}, path)


DRAWN = {
    "strips side by side": lambda path: objectives.draw_overview({"real logos": "a"}, path),
    "reconstructions": objectives.draw_reconstructions,
    "Gaussians": draw_gaussians,
}


@pytest.mark.parametrize("what", DRAWN)
def test_a_users_style_changes_no_picture_of_the_docs(tmp_path, monkeypatch, what):
    import matplotlib

    monkeypatch.setattr(objectives, "STRIPS", tmp_path)
    drawing(0, size=objectives.SIDE).resize((28, 28 * objectives.SHOWN)).save(tmp_path / "a.png")
    for name in ("vae", "glo"):
        drawing(1).save(tmp_path / f"{name}-pairs.png")
    DRAWN[what](tmp_path / "plain.png")
    with matplotlib.rc_context({"figure.facecolor": "red", "axes.titlecolor": "green", "font.family": "serif"}):
        DRAWN[what](tmp_path / "styled.png")
    assert (tmp_path / "styled.png").read_bytes() == (tmp_path / "plain.png").read_bytes()


@pytest.mark.parametrize("script", DRAWING, ids=lambda path: path.stem)
def test_a_script_imports_matplotlib_only_where_the_environment_is_hidden_from_it(monkeypatch, script):
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as if MPLBACKEND named a backend that is not there
    assert runpy.run_path(str(script))["main"]
