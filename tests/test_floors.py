"""Imports go down, doors do not open onto doors, there are no cycles, and the README draws the tree that is there."""

import ast
import importlib
import re
import subprocess

import pytest
from conftest import ROOT

from logogan_jax import check, defaults

FLOORS = [
    {"errors", "keys", "conv", "losses", "files", "images", "apart", "augment", "loop", "clock", "cache", "command",
     "cost", "defaults", "estimate", "figures", "flops", "named", "optimizers", "parallel", "progress", "rollcall",
     "stop", "stopwatch", "sums", "views"},
    {"networks", "data", "metrics", "curves", "dispatch", "guard", "hosts", "storage"},
    {"state", "objectives", "board", "meter", "evaluation", "measurement", "workdir"},
    {"step", "checkpoint", "report", "recipe", "nonfinite", "check"},
    {"model"},
    {"build", "watch", "words", "summary", "tuning"},
    {"runs", "rescue", "embedded", "peers"},
    {"looks"},
    {"train", "sample", "evaluate", "replay", "tune", "benchmark"},
    {"main"},
]  # fmt: skip
# What a room of the ground floor may lean on: borders that everything may use.
COMMON = {"errors", "files", "keys", "clock", "conv", "images", "parallel"}
DOORS = {"train", "sample", "evaluate", "replay", "tune", "benchmark"}


def modules():
    return {
        path.relative_to(ROOT).with_suffix("").as_posix().replace("/", "."): path
        for path in ROOT.glob("logogan_jax/**/*.py")
    }


def imports(path, within="logogan_jax"):
    """Modules of a package that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == within:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if (ROOT / name.replace(".", "/")).with_suffix(".py").exists()
                      or (ROOT / name.replace(".", "/")).is_dir() else node.module for name in inner}  # fmt: skip
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == within}
    return found


def room(module):
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] != "__init__" else None


def floor(name):
    return next(i for i, rooms in enumerate(FLOORS) if name in rooms)


def test_every_room_has_a_floor():
    assert {room(module) for module in modules()} - {None} == set().union(*FLOORS)


def test_imports_go_down():
    for module, path in modules().items():
        here = room(module)
        for other in {room(name) for name in imports(path)} - {None, here}:
            down = floor(other) < floor(here)
            common = floor(here) == floor(other) == 0 and other in COMMON
            assert down or common, f"{module} imports {other}"


def test_doors_do_not_open_onto_doors():
    for door in DOORS:
        assert not {room(name) for name in imports(ROOT / "logogan_jax" / f"{door}.py")} & (DOORS | {"main"})


def test_there_are_no_cycles():
    found = modules()
    graph = {}
    for module, path in found.items():
        names = {name if name in found else f"{name}.__init__" for name in imports(path)}
        graph[module] = {name for name in names if name in found} - {module}
    done, stack = set(), []

    def visit(module):
        assert module not in stack, " -> ".join([*stack, module])
        if module not in done:
            stack.append(module)
            for other in graph[module]:
                visit(other)
            done.add(stack.pop())

    for module in graph:
        visit(module)


def test_nobody_but_the_command_knows_the_tools_and_nobody_the_configs():
    for module, path in modules().items():
        assert not imports(path, "configs") and not imports(path, "tests"), module
        assert not imports(path, "data_prep") or module in ("logogan_jax.embedded", "logogan_jax.evaluate"), module


def test_the_tools_lean_on_borders_alone():
    allowed = {"errors", "progress", "cache", "files", "data", "storage"}
    shown = {
        "augment",
        "views",
        "images",
        "keys",
        "parallel",
        "command",
    }  # what a picture of the augmentation cannot do without
    for path in ROOT.glob("data_prep/**/*.py"):
        more = {"preview_augment": shown, "cluster_labels": {"images", "metrics"}}.get(path.stem, set())
        assert {room(name) for name in imports(path)} - {None} <= allowed | more, path.name


def test_the_parts_of_the_tools_do_not_know_the_tools_nor_each_other_in_circles():
    tools = {path.stem for path in ROOT.glob("data_prep/*.py") if "\n    main()\n" in path.read_text()}
    assert tools >= {"wiki_spider", "download_images", "write_tfrecords", "make_logos", "inspect_data"}
    rooms = ("web", "pictures", "shards", "doctor", "arrays")
    known = {name: set() for name in rooms}
    for path in ROOT.glob("data_prep/**/*.py"):
        used = {name.split(".")[1] for name in imports(path, "data_prep") if "." in name} - {path.stem}
        if path.parent.name in rooms:
            assert not used & tools, path
            known[path.parent.name] |= used & set(rooms) - {path.parent.name}
    assert all(not used or used <= {"pictures"} for used in known.values()), known
    assert not known["pictures"]


def test_mathematics_never_sees_a_config():
    for module, path in modules().items():
        if floor(room(module) or "errors") < floor("build") and room(module) not in (
            "recipe",
            "defaults",
            "check",
            "model",
            None,
        ):
            names = {node.arg for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.arg)}
            assert not names & {"config", "cfg", "FLAGS"}, module


def test_functions_and_files_stay_small():
    for path in [*ROOT.glob("logogan_jax/**/*.py"), *ROOT.glob("data_prep/**/*.py")]:
        text = path.read_text()
        assert text.count("\n") <= 250, f"{path}: {text.count(chr(10))} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 60, f"{path}: {node.name}"


# ── configs ─────────────────────────────────────────────────────────────────────────────────

CONFIGS = sorted(path.stem for path in ROOT.glob("configs/[a-z]*.py"))


def test_the_shipped_configs_are_those_promised():
    promised = {"dcgan28", "dcgan56", "dcgan112", "wgan28", "wgan56", "wgan112", "quickstart", "r3gan112", "lld_icon32"}
    more = ("gan", "minimax", "cgan", "can", "hinge", "lsgan", "wgan_clip", "r3gan", "vae", "glo", "walkthrough_dcgan")
    assert set(CONFIGS) >= promised | {f"{name}56" for name in more} | {"walkthrough_wgan56", "lld_logo128"}


@pytest.mark.parametrize("name", CONFIGS)
def test_configs_name_known_keys_and_only_differences(name):
    module = importlib.import_module(f"configs.{name}")
    config, base = module.get_config(), defaults.get_config()
    assert f"--config=configs/{name}.py" in module.__doc__
    assert set(config) == set(base)
    for key in ("data", "augment", "train", "report", "evaluate"):
        assert set(config[key]) == set(base[key]), key
    assert config.to_dict() != base.to_dict()
    check.values(config)


# ── README ──────────────────────────────────────────────────────────────────────────────────


def tree():
    """The paths drawn in the README."""
    text = (ROOT / "README.md").read_text()
    drawn = re.search(r"<!-- tree -->\n```\n(.*?)```", text, re.S).group(1)
    stack, found = [], set()
    for line in filter(str.strip, drawn.splitlines()):
        depth = (len(line) - len(line.lstrip())) // 2
        stack = [*stack[:depth], line.split()[0].rstrip("/")]
        found.add("/".join(stack))
    return found


def test_the_readme_draws_the_tree_that_is_there():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, text=True, capture_output=True)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    files = set(tracked.stdout.split())
    drawn = tree()
    missing = {name for name in drawn if name not in files and not any(file.startswith(name + "/") for file in files)}
    assert not missing, missing
    code = {file for file in files if file.startswith(("logogan_jax/", "data_prep/")) and file.endswith(".py")}
    undrawn = {file for file in code if not file.endswith("__init__.py")} - drawn
    assert not undrawn, undrawn
    tops = {file.split("/")[0] for file in files} - {name.split("/")[0] for name in drawn}
    assert not tops, tops
