"""Imports go down, doors do not open onto doors, there are no cycles, and the README draws the tree that is there."""

import ast
import functools
import importlib
import re
import subprocess

import pytest
from conftest import ROOT

from logogan_jax.config import defaults, validate

FLOORS = [
    {"core"},
    {"core.storage", "distributed"},
    {"networks", "objectives", "data", "tune"},
    {"metrics"},
    {"training.reporting", "data_prep"},
    {"training", "training.drawing"},
    {"config"},
    {"plan"},
    {"loop", "sample", "evaluate", "replay", "benchmark", "export", "studio"},
    {"main"},
]
KNOW_TOOLS = {
    "logogan_jax.config.default_dataset", "logogan_jax.config.drawer", "logogan_jax.config.measuring",
    "logogan_jax.training.drawing.flat_colours", "logogan_jax.training.drawing.svg_files",
}  # fmt: skip
FOLDERS = sorted(set().union(*FLOORS[:8], {"benchmark", "export", "studio"}) - {"data_prep"})
DOORS = {*FLOORS[8], "main", "tune"}
BEHIND = {"main": {"loop"}}  # what a door is the command of


@functools.cache
def modules(*packages):
    """{dotted name: path} of the modules of some packages; of a folder's __init__ the folder's name."""
    return {
        path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".").removesuffix(".__init__"): path
        for package in packages
        for path in ROOT.glob(f"{package}/**/*.py")
    }


@functools.cache
def imports(path):
    """Modules of ours that a file imports, inside functions too."""
    known, found = modules("logogan_jax", "data_prep", "configs"), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in known else node.module for name in inner}
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] in ("logogan_jax", "data_prep", "configs", "tests")}


def folder(module):
    """The place of a module in FLOORS: its folder, or its own name at the root of the package."""
    if module.split(".")[0] != "logogan_jax":
        return module.split(".")[0]
    inside = module.removeprefix("logogan_jax").lstrip(".")
    named = [name for name in FOLDERS if inside == name or inside.startswith(name + ".")]
    return max(named, key=len) if named else inside


def floor(name):
    return next(i for i, places in enumerate(FLOORS) if name in places)


def test_every_folder_has_a_floor():
    assert {folder(module) for module in modules("logogan_jax", "data_prep")} - {""} == set().union(*FLOORS)


def test_imports_go_down():
    for module, path in modules("logogan_jax", "data_prep").items():
        here = folder(module)
        others = {folder(name) for name in imports(path)} - {"", here}
        if not here:  # the package itself, which is imported before any of its modules; its functions import more
            assert others <= {"core", "config", "loop"}
            continue
        for other in others:
            assert floor(other) < floor(here), f"{module} imports {other}"


def test_doors_do_not_open_onto_doors():
    for module, path in modules("logogan_jax").items():
        here = folder(module)
        if here in DOORS:
            allowed = {here} | BEHIND.get(here, set())
            assert not {folder(name) for name in imports(path)} & (DOORS - allowed), module


def test_no_modules_import_each_other_in_a_circle():
    found = modules("logogan_jax", "data_prep")
    graph = {module: (imports(path) & found.keys()) - {module} for module, path in found.items()}
    # Its functions import when they are called, long after all modules.
    graph["logogan_jax"] = {name for name in graph["logogan_jax"] if name.startswith("logogan_jax.core.")}
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


def test_nobody_knows_the_configs_and_few_know_the_tools():
    for module, path in modules("logogan_jax").items():
        others = {name.split(".")[0] for name in imports(path)}
        assert not others & {"configs", "tests"}, module
        assert module in KNOW_TOOLS or "data_prep" not in others, module


def test_the_parts_of_the_tools_do_not_know_the_tools_nor_each_other_in_circles():
    tools = {path.stem for path in ROOT.glob("data_prep/*.py") if "\n    main()\n" in path.read_text()}
    assert tools >= {"wiki_spider", "download_images", "write_tfrecords", "make_logos", "inspect_data"}
    rooms = ("web", "pictures", "shards", "doctor", "arrays")
    known = {name: set() for name in rooms}
    for path in ROOT.glob("data_prep/**/*.py"):
        used = {name.split(".")[1] for name in imports(path) if name.startswith("data_prep.")} - {path.stem}
        if path.parent.name in rooms:
            assert not used & tools, path
            known[path.parent.name] |= used & set(rooms) - {path.parent.name}
    assert all(not used or used <= {"pictures"} for used in known.values()), known
    assert not known["pictures"]


def test_mathematics_never_sees_a_config():
    for module, path in modules("logogan_jax").items():
        if folder(module) and floor(folder(module)) < floor("training.reporting"):
            names = {node.arg for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.arg)}
            assert not names & {"config", "cfg", "FLAGS"}, module


def test_config_values_are_read_in_config_and_in_the_doors_only():
    """Everything else gets plain values."""
    for module, path in modules("logogan_jax").items():
        if folder(module) in {"config", "plan", *DOORS, ""}:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            reads = isinstance(node, ast.Attribute) and node.attr in ("config", "ConfigDict")
            takes = isinstance(node, ast.arg) and node.arg in ("config", "cfg", "FLAGS")
            # jax.config is JAX's own.
            jaxs = reads and isinstance(node.value, ast.Name) and node.value.id == "jax"
            assert not (reads or takes) or jaxs, f"{module}:{node.lineno}"


def is_text(call, name):
    """Whether a call reads or writes text, in the encoding of the locale unless it names another."""
    values = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    if name in ("read_text", "write_text"):
        return True
    if name in ("run", "Popen", "check_output", "check_call", "call"):
        return bool(values.keys() & {"text", "universal_newlines", "errors"})
    modes = [
        one.value for one in call.args if isinstance(one, ast.Constant) and re.fullmatch("[rwxabt+]+", str(one.value))
    ]
    mode = values.get("mode", (modes or [""])[0])
    if name in ("NamedTemporaryFile", "TemporaryFile"):
        return bool(mode) and "b" not in mode
    is_file = isinstance(call.func, ast.Name) or bool(modes)  # and no image, archive or data set
    return name in ("open", "fdopen") and is_file and "b" not in mode


def test_text_is_utf8_whatever_the_locale():
    for path in [path for top in ("logogan_jax", "data_prep", "benchmarks") for path in ROOT.glob(f"{top}/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                named = any(keyword.arg == "encoding" for keyword in node.keywords)
                assert named or not is_text(node, name), f"{path}:{node.lineno} needs encoding='utf-8'"


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
    validate.check_values(config)


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
    folders = {file.rpartition("/")[0] for file in files if file.startswith("logogan_jax/") and file.endswith(".py")}
    undrawn = folders - drawn
    assert not undrawn, undrawn
    tops = {file.split("/")[0] for file in files} - {name.split("/")[0] for name in drawn}
    assert not tops, tops
