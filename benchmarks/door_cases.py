"""Every flag of every command with every odd value."""

import argparse
import importlib
import os
import types
from collections.abc import Callable, Sequence
from typing import NamedTuple

from absl import flags

VALUES = {
    "empty": "", "zero": "0", "negative": "-1", "huge": "1000000000000", "folder": "logos", "file": "notes.txt",
    "link": "link", "link to nothing": "gone", "dot": ".", "home": "~", "no text": os.fsdecode(b"\xff\xfe"),
    "unwritable": "/proc/none/x", "device": "/dev/null", "too long": "x" * 300,
}  # fmt: skip
# Of keys of a config, which are typed.
NUMBERS = ("zero", "negative", "huge")
TEXTS = ("empty", "no text", "unwritable")

RUN = ["--workdir=run"]
# Module: flags that are right. They lead to little work, and where that is much, to a mistake that is noticed late.
COMMANDS = {
    "logogan_jax.main": ["--config=tiny.py", "--workdir=new"],
    "logogan_jax.sample": [*RUN, "--out=new", "--num=1", "--step=newest"],
    "logogan_jax.evaluate": ["--images=logos", "--against=logos", "--size=8", "--num_samples=10", "--step=newest"],
    "logogan_jax.replay": RUN,
    "logogan_jax.export": [*RUN, "--format=safetensors", "--out=new", "--step=newest"],
    "logogan_jax.benchmark": ["--config=tiny.py", "--config.data.dir=nowhere"],
    "logogan_jax.plan": ["--config=tiny.py", "--config.data.dir=nowhere", "--target=h100"],
    "logogan_jax.tune": ["--config=tiny.py", "--workdir=new", "--trials=1"],
    "data_prep.preview_augment": ["--config=tiny.py", "--out=new.png"],
    "data_prep.write_tfrecords": ["--path=logos", "--size=8", "--target_path=new", "--workers=1"],
    "data_prep.beam_tfrecords": ["--path=logos", "--size=8", "--target_path=new"],
    "data_prep.resize_center": ["--path=logos", "--size=8", "--target_path=new"],
    "data_prep.split_grid": ["--filename=sheet.png", "--col=2", "--row=2", "--target_path=new"],
    "data_prep.svg_to_png": ["--path=svg", "--size=8", "--target_path=new"],
    "data_prep.import_arrays": ["--filename=array.npy", "--target_path=new"],
    "data_prep.inspect_data": ["--path=logos", "--size=8", "--report=new"],
    "data_prep.make_logos": ["--source=logos", "--size=8", "--target_path=new"],
    "data_prep.cluster_labels": ["--path=shards", "--clusters=1000", "--target_path=new"],
    "data_prep.upload": ["--path=logos", "--target_path=memory://bucket/logos"],
    "data_prep.download_images": ["--filename=items.csv", "--target_path=new", "--trusted={server}"],
    "data_prep.wiki_spider": ["--filename=new.csv", "--api=http://{server}/api.php", "--contact=a@example.org"],
    "data_prep.search_images": [
        "--keywords", "logo", "--filename=new.csv", "--num=1", "--openverse_api=http://{server}/",
        "--commons_api=http://{server}/api.php", "--contact=a@example.org",
    ],
}  # fmt: skip


class Case(NamedTuple):
    """A command line with one odd value."""

    module: str
    flag: str
    value: str  # its name in VALUES
    arguments: list[str]


class _Parsers(Exception):
    """The parser of a command, thrown from its parse_args."""


def load(module: str) -> types.ModuleType:
    """Import the module of a command, of a folder its __main__."""
    loaded = importlib.import_module(module)
    return importlib.import_module(f"{module}.__main__") if hasattr(loaded, "__path__") else loaded


def flag_names(module: str) -> list[str]:
    """Return the names of a command's flags, and the keys of its config."""
    loaded = load(module)
    if not hasattr(loaded, "define"):
        return _argparse_names(loaded.main)
    before = set(flags.FLAGS)
    loaded.define()
    names = sorted(set(flags.FLAGS) - before)
    for name in names:
        delattr(flags.FLAGS, name)
    if module == "logogan_jax.main":
        from logogan_jax.config import defaults
        from logogan_jax.core import nested

        names += [f"config.{key}" for key in nested.flatten(defaults.get_config().to_dict())]
    return names


def _argparse_names(main: Callable[[Sequence[str]], None]) -> list[str]:
    def thrown(parser: argparse.ArgumentParser, *_: object) -> None:
        raise _Parsers([action.option_strings[-1].lstrip("-") for action in parser._actions if action.dest != "help"])

    before = argparse.ArgumentParser.parse_args, argparse.ArgumentParser.parse_known_args
    argparse.ArgumentParser.parse_args = argparse.ArgumentParser.parse_known_args = thrown  # type: ignore
    try:
        main([])
    except _Parsers as found:
        return found.args[0]
    finally:
        argparse.ArgumentParser.parse_args, argparse.ArgumentParser.parse_known_args = before
    raise AssertionError("a command without a parser")


def make_cases(only: Sequence[str], server: str) -> list[Case]:
    """Return every flag of every command with every value."""
    cases = []
    for module, right in COMMANDS.items():
        if only and module.rpartition(".")[2] not in only:
            continue
        right = [word.format(server=server) for word in right]
        cases.append(Case(module, "", "as it is", right))
        for flag in flag_names(module):
            others = [word for word in right if not word.startswith((f"--{flag}=", f"--{flag}"))]
            if flag == "keywords":
                others.remove("logo")
            for value in _values(flag):
                cases.append(Case(module, flag, value, [*others, f"--{flag}={VALUES[value]}"]))
        if module.endswith("evaluate"):  # of a run, too
            for flag in ("workdir", "step", "data", "out", "features"):
                for value in VALUES:
                    words = ["--workdir=run", "--step=newest", "--against=logos", "--num_samples=10"]
                    words = [word for word in words if not word.startswith(f"--{flag}=")]
                    cases.append(Case(module, f"run {flag}", value, [*words, f"--{flag}={VALUES[value]}"]))
    return cases


def _values(flag: str) -> Sequence[str]:
    """Return the names of the values that suit a flag."""
    if not flag.startswith("config."):
        return list(VALUES)
    from logogan_jax.config import defaults
    from logogan_jax.core import nested

    value = nested.flatten(defaults.get_config().to_dict())[flag.removeprefix("config.")]
    if flag == "config.train.steps":  # so many steps are a wish that is fulfilled
        return NUMBERS[:2]
    return TEXTS if isinstance(value, str) else NUMBERS
