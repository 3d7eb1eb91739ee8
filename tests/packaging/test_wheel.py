"""A wheel, installed where no checkout is near, is one package that trains, samples and finds what ships with it."""

import importlib.util
import re
import shutil
import site
import subprocess
import sys
import tomllib
import venv
import zipfile

import pytest
import wheels
from conftest import ROOT, SMALL, environment, summary

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
SCRIPTS = PROJECT["project"]["scripts"]


def tracked(*patterns):
    """The files of the checkout that git knows, or would know."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns],
        cwd=ROOT, text=True, capture_output=True,
    )  # fmt: skip
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.stdout.splitlines() if (ROOT / name).is_file()]


# ── what is in it ───────────────────────────────────────────────────────────────────────────


def test_every_folder_of_the_packages_goes_into_the_wheel():
    folders = {path.parent.relative_to(ROOT) for path in tracked("logogan_jax/*.py", "data_prep/*.py")}
    beside = set(SETUPTOOLS["package-dir"])
    assert {".".join(folder.parts) for folder in folders} == set(SETUPTOOLS["packages"]) - beside


def test_every_script_is_a_function_without_arguments():
    for target in SCRIPTS.values():
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function)), target
    assert len(SCRIPTS) == 10


def test_the_peers_bring_each_script_that_they_import():
    peers = {name.rpartition(".")[2] for name in SETUPTOOLS["py-modules"]}
    assert peers >= {"peer_torch", "peer_keras"}
    scripts = {path.stem for path in ROOT.glob("benchmarks/*.py")}
    for name in peers:
        imported = re.findall(r"^\s*(?:import|from) (\w+)", (ROOT / "benchmarks" / f"{name}.py").read_text(), re.M)
        assert set(imported) & scripts <= peers, name
        assert "logogan_jax" not in imported, name


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The path of a wheel that was built from a copy of the files that git knows."""
    if not importlib.util.find_spec("setuptools"):
        pytest.skip("setuptools, which builds the wheel, is not installed")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for path in tracked():
        copy = source / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    built = subprocess.run([sys.executable, "-c", build, out], cwd=source, text=True, capture_output=True)
    assert built.returncode == 0, built.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    """The `bin` of an environment with the wheel in it, which borrows all other packages from this one."""
    folder = tmp_path_factory.mktemp("installed") / "environment"
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    if wheels.uv():
        install = [wheels.uv(), "pip", "install", "--python", python, "--offline"]
    else:
        install = [sys.executable, "-m", "pip", "--python", python, "install", "--no-index"]
    done = subprocess.run([*install, "--no-deps", "--quiet", wheel], text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    # Only now: pip would take the package for installed where this environment has it.
    packages = next(folder.glob("lib/python*/site-packages"))
    (packages / "borrowed.pth").write_text("\n".join(site.getsitepackages()))
    return python.parent


def run(installed, folder, program, *arguments, status=0):
    """Run a program of the environment in a folder -> what it has printed and its errors."""
    clean = {name: value for name, value in environment().items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [installed / program, *arguments], cwd=folder, env=clean, text=True, capture_output=True, timeout=600
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
def test_a_wheel_puts_no_general_names_into_an_environment(wheel, installed):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"logogan_jax", "data_prep"}
    assert {"logogan_jax/py.typed", "data_prep/py.typed"} <= set(names)
    assert {f"data_prep/pictures/fonts/{name}" for name in ("DejaVuSans.ttf", "LICENSE")} <= set(names)
    packages = next(installed.parent.glob("lib/python*/site-packages"))
    entries = {path.name.split("-")[0] for path in packages.iterdir() if not path.name.startswith(("_", "borrowed"))}
    assert entries == {"logogan_jax", "data_prep"}


@pytest.mark.slow
def test_a_wheel_has_every_module_and_config_once(wheel):
    shipped = {"logogan_jax/" + str(path.relative_to(ROOT)) for path in tracked("configs/*.py", "cloud/prices.csv")}
    modules = {str(path.relative_to(ROOT)) for path in tracked("logogan_jax/*.py", "data_prep/*.py")}
    peers = {f"{name.replace('.', '/')}.py" for name in SETUPTOOLS["py-modules"]}
    names = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith((".py", ".csv"))]
    assert sorted(names) == sorted(shipped | modules | peers)


# ── what it does ────────────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_an_installed_wheel_trains_and_samples_in_an_empty_folder(installed, shards, tmp_path):
    keys = (*SMALL, "--config.evaluate.every_images=0", f"--config.data.dir={shards}")
    said = run(installed, tmp_path, "logogan-train", "--config=quickstart", *keys)
    assert "Everything is in runs/quickstart" in said
    assert summary(tmp_path / "runs" / "quickstart")["status"] == "finished"
    said = run(installed, tmp_path, "logogan-sample", "--workdir=runs/quickstart", "--num=2", "--out=drawn")
    assert "2 pictures and grid.png of step 2 are in drawn" in said
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "drawn"}


@pytest.mark.slow
def test_an_installed_wheel_finds_its_prices_peers_and_configs(installed, tmp_path):
    program = (
        "from logogan_jax.benchmark import peers\n"
        "from logogan_jax.config import shipped\n"
        "from logogan_jax.core import installation\n"
        "from logogan_jax.training.reporting import cost\n"
        "assert cost.TABLE.is_file() and peers.script('torch').is_file() and peers.script('keras').is_file()\n"
        "assert shipped.get_config('hinge56').model.spectral\n"
        "print(installation.PACKAGE, installation.install_command('s3'))\n"
    )
    said = run(installed, tmp_path, "python", "-c", program)
    assert str(installed.parent) in said and "pip install 'logogan_jax[s3]'" in said


@pytest.mark.slow
def test_a_script_describes_its_module_and_its_flags(installed, tmp_path):
    said = run(installed, tmp_path, "logogan-train", "--help", status=1)  # absl's status
    assert "Train: python -m logogan_jax.main" in said and "--max_cost:" in said
    said = run(installed, tmp_path, "logogan-write-tfrecords", "--help")
    assert "python -m data_prep.write_tfrecords" in said and "--target_path" in said
