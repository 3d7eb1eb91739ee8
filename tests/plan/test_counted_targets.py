"""The step costs an accelerator what is recorded, where the accelerator's compiler is installed."""

import importlib.util
import json
import subprocess
import sys

import pytest
from conftest import ROOT, environment

from logogan_jax.config import build_model

sys.path.insert(0, str(ROOT / "benchmarks"))  # whose scripts are no package
import counted_targets


@pytest.mark.slow
@pytest.mark.parametrize(("target", "compiler"), [("h100", "jax_plugins.xla_cuda13"), ("v5e", "libtpu")])
def test_the_step_costs_an_accelerator_what_is_recorded(target, compiler):
    """One row: compiling takes a minute or more. The command compares the others, too."""
    package = compiler.partition(".")[0]
    if importlib.util.find_spec(package) is None or importlib.util.find_spec(compiler) is None:
        pytest.skip(f"the compiler of {target}, gigabytes large, is no dependency of the tests")
    words = [sys.executable, "benchmarks/counted_targets.py", f"--targets={target}", "--only=wgan28", "--devices=1"]
    done = subprocess.run([*words, "--check"], cwd=ROOT, env=environment(), text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("config", ["cgan56", "lld_icon32", "quickstart"])
def test_a_config_gets_a_data_set_that_it_can_train_on(config, monkeypatch):
    def made(values, info, *_, **options):
        values.train.dtype = "float32"
        return build_model.build_model(values.copy_and_resolve_references(), info)

    monkeypatch.setattr(counted_targets.estimate, "estimate", made)
    model = counted_targets.compile_step(config, "h100", 1)
    assert model.objective.players


def test_the_page_has_the_counts_that_are_recorded():
    page = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    found = page.partition("<!-- counted-targets -->\n")[2].partition("<!-- /counted-targets -->")[0]
    assert found == counted_targets.table(counted_targets.read_record())
    assert "| wgan56 on 8 x h100 | " in found


def test_the_page_says_how_many_kernels_marks_take():
    kernels = {
        row: counts["kernels"] for rows in counted_targets.read_record().values() for row, counts in rows.items()
    }
    gpu, tpu = (
        kernels[f"quickstart on 1 x {target}"] - kernels[f"quickstart-tanh on 1 x {target}"]
        for target in ("h100", "v5e")
    )
    page = " ".join((ROOT / "docs" / "speed.md").read_text(encoding="utf-8").split())
    assert f"So to draw marks takes {gpu} kernels more on an H100, and {tpu} on a TPU." in page


def test_the_page_says_what_all_but_products_may_move():
    rows = {row: counts for recorded in counted_targets.read_record().values() for row, counts in recorded.items()}
    page = " ".join((ROOT / "docs" / "speed.md").read_text(encoding="utf-8").split())
    adam = 3.6  # GB, as the page says of wgan56
    assert f"five times a step: {adam} GB of `wgan56`" in page
    found = []
    for config, aim, other in (("wgan56", 12, adam), ("dcgan56", 5.5, 0), ("r3gan56", 16, 0)):
        counts = rows[f"{config} on 1 x h100"]
        fixed = counts["product_bytes"] / 1e9 + other
        found.append((f"{aim - fixed:.1f}", f"{counts['bytes'] / 1e9 - fixed:.1f}"))
    (wgan, dcgan, r3gan) = found
    assert f"in `wgan56` would have to move {wgan[0]} GB instead of {wgan[1]} to reach its aim" in page
    assert f"alone {dcgan[0]} instead of {dcgan[1]} in `dcgan56`, and {r3gan[0]} instead of {r3gan[1]}" in page


def test_the_page_says_how_much_shorter_steps_are_without_a_loop():
    read = lambda name: json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))
    before = {
        row: counts for rows in read("counted-targets-before")["compilers"].values() for row, counts in rows.items()
    }
    now = read("plans")["rows"]
    suffix = ", updates in a loop"
    change = {
        row.removesuffix(suffix): round(100 * (now[row.removesuffix(suffix)]["step_seconds"] / old["step_seconds"] - 1))
        for row, old in before.items()
        if row.endswith(suffix)
    }
    one, eight, tpu, worse = (change.pop(f"wgan56 on {row}") for row in ("1 x h100", "8 x h100", "1 x v5e", "8 x v5e"))
    page = " ".join((ROOT / "docs" / "speed.md").read_text(encoding="utf-8").split())
    assert f"shorter by {-one} % on one H100, by {-eight} % on eight, and by {-tpu} % on one v5e." in page
    assert (
        f"it is longer by {worse} %, and those of the other WGANs are between {-min(change.values())} % shorter" in page
    )
    assert f"shorter and {max(change.values())} % longer." in page and len(change) == 6


def test_a_difference_names_the_row_both_figures_and_the_command():
    old = {"kernels": 100, "bytes": 10_000}
    assert counted_targets.differences("wgan56 on 1 x h100", {"kernels": 101, "bytes": 10_100}, old) == []
    (line,) = counted_targets.differences("wgan56 on 1 x h100", {"kernels": 104, "bytes": 10_000, "pads": 1}, old)
    assert line.startswith("wgan56 on 1 x h100: kernels was 100 and is 104: ")
    assert line.endswith("python benchmarks/counted_targets.py --only=wgan56")
