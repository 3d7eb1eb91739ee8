"""Files that ship with the package, hints to pip, and configs by name are right in a checkout and in a wheel."""

import pathlib

import pytest
from conftest import ROOT, failing

from logogan_jax.benchmark import peers
from logogan_jax.config import shipped
from logogan_jax.core import installation
from logogan_jax.core.errors import UserError
from logogan_jax.training.reporting import cost

CONFIGS = sorted(path.stem for path in ROOT.glob("configs/[a-z]*.py"))


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A package's folder as a wheel leaves it, in the place of ours."""
    package = tmp_path / "site-packages" / "logogan_jax"
    (package / "configs").mkdir(parents=True)
    (package / "configs" / "mine56.py").touch()
    monkeypatch.setattr(installation, "PACKAGE", package)
    return package


def test_a_checkout_has_its_files_beside_the_package():
    assert not installation.is_wheel()
    assert installation.shipped_path("configs/wgan56.py") == ROOT / "configs" / "wgan56.py"
    assert cost.TABLE == ROOT / "cloud" / "prices.csv" and cost.TABLE.is_file()
    assert peers.FOLDER == ROOT / "benchmarks" and peers.script("torch").is_file()


def test_a_wheel_has_its_files_in_the_package(wheel):
    (wheel.parent / "pyproject.toml").touch()  # some other package's mistake
    assert installation.is_wheel()
    assert installation.shipped_path("cloud/prices.csv") == wheel / "cloud" / "prices.csv"
    assert installation.config_path("mine56") == str(wheel / "configs" / "mine56.py")


def test_pip_is_told_of_the_checkout_from_a_checkout():
    assert installation.install_command("s3") == "pip install -e '.[s3]'"


def test_pip_is_told_of_the_package_from_a_wheel(wheel):
    assert installation.install_command("s3") == "pip install 'logogan_jax[s3]'"


def test_hints_to_install_an_extra_come_from_one_place():
    for path in [*ROOT.glob("logogan_jax/**/*.py"), *ROOT.glob("data_prep/**/*.py")]:
        assert path.name == "installation.py" or "pip install -e" not in path.read_text(), path


# ── configs by name ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", CONFIGS)
def test_a_name_means_the_shipped_config_in_any_folder(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert installation.config_path(name) == str(ROOT / "configs" / f"{name}.py")


@pytest.mark.parametrize("value", ["configs/wgan56.py", "mine.py", "../mine", ""])
def test_a_path_means_itself(value):
    assert installation.config_path(value) == value


def test_a_file_of_ones_own_is_before_the_shipped_config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("wgan56").touch()
    assert installation.config_path("wgan56") == "wgan56"


def test_what_follows_a_colon_stays_for_the_config():
    assert installation.config_path("wgan56:fast") == f"{ROOT / 'configs' / 'wgan56.py'}:fast"


def test_the_nearest_name_is_proposed_for_one_that_is_not_there():
    with pytest.raises(
        UserError, match=r"^--config=wgan65 is neither .*: did you mean wgan56\? .*can56, .*wgan_clip56$"
    ):
        installation.config_path("wgan65")
    with pytest.raises(UserError, match="shipped config: The shipped ones are"):
        installation.config_path("something")


def test_a_shipped_config_is_a_new_one_each_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pathlib.Path("hinge56").touch()  # is no shipped config
    config = shipped.get_config("hinge56")
    config.train.steps = 1
    assert config.objective.name == "hinge" and shipped.get_config("hinge56").train.steps > 1


DOORS = ["logogan_jax.main", "logogan_jax.benchmark", "logogan_jax.tune", "data_prep.preview_augment"]


@pytest.mark.slow
@pytest.mark.parametrize("door", DOORS)
def test_every_command_with_a_config_takes_a_name(door):
    assert "did you mean wgan56? " in failing("--config=wgan65", module=door)


@pytest.mark.parametrize("name", [("--config=wgan56",), ("--config", "wgan56"), ("-config=wgan56",)])
def test_a_name_and_keys_of_the_config_go_together(name):
    """What stops it comes after all keys are known to be right."""
    assert "did you mean config.train.steps?" in failing(*name, "--config.train.stepz=4")
    assert "--max_cost=3 needs the price" in failing(*name, "--config.train.steps=4", "--max_cost=3")
