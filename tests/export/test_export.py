"""An exported file draws the pictures of the run, is described by its card, and is whole or not there."""

import hashlib
import json
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest
from conftest import ROOT, devices, environment, four, on_toy_networks, pictures, sgd

import logogan_jax as lg
from logogan_jax import loop, sample
from logogan_jax.config import defaults, restore, run_config
from logogan_jax.config.build_model import build_model
from logogan_jax.config.restore import RestoredRun
from logogan_jax.core import nested
from logogan_jax.core.errors import UserError
from logogan_jax.data.dataset import DatasetInfo
from logogan_jax.export import __main__ as export
from logogan_jax.export import archive, onnx_primitives, recipes, stablehlo

COUNT = 5


@pytest.fixture(scope="module")
def workdir(shards, tmp_path_factory, toy_networks):
    """A run that draws marks of two labels, in colours of the data."""
    folder = tmp_path_factory.mktemp("runs") / "marks"
    config = sgd(on_toy_networks(four(shards, **{"data.labels": True, "mark.inks": 1})))
    config.report.update(log_every=4, samples_every=0, checkpoint_every=0)
    config.objective = defaults.block(name="cgan")
    with devices(1):
        loop.train(config, folder)
    return folder


@pytest.fixture
def exported(call, workdir, tmp_path):
    """A function (format, *flags) -> the path of an exported file."""

    def export_(format_, *flags):
        pytest.importorskip(export.FORMATS[format_].PACKAGES[0])
        out = tmp_path / f"mine.{format_}"
        call(export, f"--workdir={workdir}", f"--format={format_}", f"--out={out}", *flags)
        return out

    return export_


def read_card(out):
    return json.loads(out.with_name(out.name + ".json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize(("format_", "package"), [("stablehlo", "jax"), ("onnx", "onnxruntime")])
def test_a_file_draws_the_pictures_of_a_seed_without_the_library(exported, workdir, call, tmp_path, format_, package):
    pytest.importorskip(package)
    out = exported(format_)
    call(sample, f"--workdir={workdir}", "--seed=1", f"--num={COUNT}", f"--out={tmp_path / 'drawn'}")
    drawn = pictures(tmp_path / "drawn")
    elsewhere = [folder for folder in sys.path if folder and not pathlib.Path(folder).is_relative_to(ROOT)]
    reader = pathlib.Path(__file__).with_name("reader.py")
    subprocess.run(
        [sys.executable, reader, out, str(COUNT), tmp_path / "read"],
        cwd=tmp_path, env=environment(PYTHONPATH=os.pathsep.join(elsewhere)), check=True,
    )  # fmt: skip
    read = pictures(tmp_path / "read")
    found, wanted = (np.stack([shown[f"{i:05d}.png"] for i in range(COUNT)]) for shown in (read, drawn))
    assert len(read) == COUNT and found.dtype == np.uint8 and found.shape == wanted.shape
    # Programs for other numbers of pictures may round otherwise.
    assert np.abs(found.astype(int) - wanted).max() <= 1
    assert wanted.std(axis=0).max() > 0


@pytest.mark.slow
@pytest.mark.parametrize("platform", stablehlo.PLATFORMS)
def test_a_program_is_made_for_each_platform_and_any_number_of_pictures(exported, platform):
    out = exported("stablehlo", f"--platform={platform}")
    program = jax.export.deserialize(bytearray(out.read_bytes()))
    assert program.platforms == (platform,)
    assert [str(one.shape) for one in program.in_avals] == ["(n, 8)", "(n,)"]
    assert str(program.out_avals[0].shape) == "(n, 28, 28, 3)" and program.out_avals[0].dtype == np.uint8
    card = read_card(out)
    assert (
        card["platform"] == platform
        and card["expiry"]["not_promised_after"] in out.with_name(out.name + ".md").read_text()
    )


@pytest.mark.slow
def test_an_archive_holds_the_averaged_networks_and_the_config(exported, workdir):
    safetensors = pytest.importorskip("safetensors")
    out = exported("safetensors")
    run = restore.restore(str(workdir), "newest")
    wanted = nested.flatten(jax.device_get(run.state.ema))
    with safetensors.safe_open(out, framework="numpy") as file:
        assert set(file.keys()) == set(wanted)
        for name, value in wanted.items():
            np.testing.assert_array_equal(file.get_tensor(name), value)
        content = json.loads(file.metadata()["config"])
    config, info = run_config.read(workdir)
    assert content["config"] == json.loads(json.dumps(config.to_dict()))
    assert content["data"]["fingerprint"] == info.fingerprint


def test_what_an_archive_would_garble_is_noticed(tmp_path):
    safetensors = pytest.importorskip("safetensors.numpy")
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    safetensors.save_file({"a": array}, tmp_path / "a", metadata={})
    with pytest.raises(UserError, match=r"read back otherwise \(a\)"):
        archive.check(tmp_path / "a", {"a": array.T.copy()}, {})


@pytest.mark.slow
def test_the_card_says_what_the_file_is(exported, workdir):
    out = exported("safetensors")
    card = read_card(out)
    assert card["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert card["run"] == "marks" and card["step"] == 4 and card["labels"] == ["box", "disc"]
    assert card["inputs"] == {"latents": "float32[n, 8]", "labels": "int32[n]"}
    assert card["output"] == "uint8[n, 28, 28, 3]"
    assert card["data"]["fingerprint"] == run_config.read(workdir)[1].fingerprint
    assert card["versions"].keys() >= {"jax", "logogan_jax", "safetensors"}
    page = out.with_name(out.name + ".md").read_text()
    assert "0 is box, 1 is disc" in page and "chooses the ink" in page and card["latents"]["recipe"] in page


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "prior"),
    [
        ("gan", "normal"),
        ("walkthrough_dcgan", "uniform on [-1, 1)"),
        ("walkthrough_wgan", "uniform on [0, 1)"),
        ("glo", "normal, fitted to codes"),
    ],
)
def test_each_prior_has_its_recipe(tiny, toy_networks, tmp_path, objective, prior):
    config = on_toy_networks(tiny(objective))
    info = DatasetInfo("0" * 64, 50, {})
    model = build_model(config, info)
    recipe = recipes.find(RestoredRun(tmp_path, config, info, model, model.init_state(), 0))
    assert recipe.name == prior and recipe.bounds == []


@pytest.mark.slow
@pytest.mark.parametrize("there", ["mine", "mine.json", "mine.md"])
def test_nothing_is_overwritten(call, workdir, tmp_path, there):
    pytest.importorskip("safetensors")
    (tmp_path / there).write_text("kept")
    with pytest.raises(UserError, match=f"{there} is there already"):
        call(export, f"--workdir={workdir}", "--format=safetensors", f"--out={tmp_path / 'mine'}")
    assert [path.name for path in tmp_path.iterdir()] == [there] and (tmp_path / there).read_text() == "kept"


@pytest.mark.slow
def test_nothing_half_written_is_left(call, workdir, tmp_path, monkeypatch):
    pytest.importorskip("safetensors")
    monkeypatch.setattr(archive, "check", lambda *_: (_ for _ in ()).throw(UserError("read back otherwise")))
    with pytest.raises(UserError, match="read back otherwise"):
        call(export, f"--workdir={workdir}", "--format=safetensors", f"--out={tmp_path / 'mine'}")
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
def test_a_graph_is_read_back_and_compared(exported, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(UserError, match="grey levels away from those of the run"):
        patch.setitem(onnx_primitives.TABLE, "exp", lambda graph, equation, x: graph.add("Sigmoid", x))
        exported("onnx")
    with monkeypatch.context() as patch, pytest.raises(UserError, match="uses JAX's 'exp', which logogan_jax/export"):
        patch.delitem(onnx_primitives.TABLE, "exp")
        exported("onnx")
    assert not [*tmp_path.iterdir()]
    card = read_card(exported("onnx"))
    assert (card["opset"], card["ir_version"]) == (18, 8) and card["versions"].keys() >= {"onnx", "jax"}
    assert card["inputs"] == {"latents": "float32[n, 8]", "labels": "int32[n]"}


@pytest.mark.slow
def test_a_platform_or_a_package_that_is_not_there_is_told_in_one_line(call, workdir, tmp_path, monkeypatch):
    flags = [f"--workdir={workdir}", f"--out={tmp_path / 'mine'}"]
    pytest.importorskip("flatbuffers")
    with pytest.raises(UserError, match="--platform is 'cpu': leave it, --format=safetensors has none"):
        call(export, *flags, "--format=safetensors", "--platform=cpu")
    with pytest.raises(UserError, match="--platform is 'gpu': it should be one of cpu, cuda, tpu"):
        call(export, *flags, "--format=stablehlo", "--platform=gpu")
    monkeypatch.setattr(stablehlo, "PACKAGES", ("a_package_that_is_not_there",))
    with pytest.raises(UserError, match=r"--format=stablehlo needs a_package_that_is_not_there: pip install"):
        call(export, *flags, "--format=stablehlo")


def test_the_page_says_what_was_timed():
    record = json.loads((ROOT / "benchmarks" / "results" / "exported-cpu.json").read_text())
    text = " ".join((ROOT / "docs" / "export.md").read_text().split())
    for row in record["files"]:
        assert f"{row['wall_seconds']:.1f} s from {row['format']}" in text, row
    assert record["pictures"] == 100 and "AMD EPYC" in record["machine"]["processor"]
    assert all(row["wall_seconds"] < 10 for row in record["files"] if row["format"] != "safetensors")


# ── drawing from an archive ─────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_an_archive_draws_the_pictures_of_the_run_with_all_flags(exported, workdir, call, tmp_path):
    out = exported("safetensors")
    for number, words in enumerate(
        [
            ["--num=3", "--seed=1", "--truncation=0.7", "--label=disc"],
            ["--seeds=1:2,5", "--scale=2", "--transparent", "--format=webp"],
            ["--interpolate=1:2,1:1", "--num=3", "--label=box"],
        ]
    ):
        for name, source in (("run", f"--workdir={workdir}"), ("file", f"--model={out}")):
            call(sample, source, f"--out={tmp_path / name / str(number)}", *words)
        files = sorted(path.name for path in (tmp_path / "run" / str(number)).iterdir())
        assert files == sorted(path.name for path in (tmp_path / "file" / str(number)).iterdir())
        for name in set(files) - {"pictures.json"}:
            one, two = (tmp_path / where / str(number) / name for where in ("run", "file"))
            assert one.read_bytes() == two.read_bytes(), (words, name)


@pytest.mark.slow
def test_an_archive_is_loaded_in_python_and_says_what_it_is(exported, workdir):
    out = exported("safetensors")
    loaded, run = lg.load(out), lg.load(workdir)
    assert np.array_equal(loaded.sample(4, seed=3), run.sample(4, seed=3))
    assert (loaded.step, loaded.labels, loaded.metrics) == (4, ["box", "disc"], [])
    assert repr(loaded) == f"<run {out} at step 4>"
    with pytest.raises(UserError, match=r"^step=2: .* holds step 4 alone"):
        lg.load(out, 2)


@pytest.mark.slow
def test_an_archive_names_what_it_lacks(exported, call, tmp_path, shards):
    out, drawn = exported("safetensors"), f"--out={tmp_path / 'drawn'}"
    with pytest.raises(UserError, match="--model is a run at one step: leave --step"):
        call(sample, f"--model={out}", "--step=4", drawn)
    with pytest.raises(UserError, match=r"--workdir is missing: give .*, --model=FILE.* or --pretrained"):
        call(sample, drawn)
    with pytest.raises(UserError, match=r"was trained on the images in .*elsewhere.* by --data=DIR"):
        call(sample, f"--model={out}", "--nearest", f"--data={tmp_path / 'elsewhere'}", drawn)
    (tmp_path / "torn.safetensors").write_bytes(out.read_bytes()[:-5])
    with pytest.raises(UserError, match=r"^--model=.*torn.safetensors is no archive of a run"):
        call(sample, f"--model={tmp_path / 'torn.safetensors'}", drawn)
    assert not (tmp_path / "drawn").exists()
