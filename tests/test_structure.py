"""The code is as short and plain as promised, and the script that counts it counts right."""

import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))  # whose scripts are no package
import structure

PACKAGE = structure.trees(ROOT / "logogan_jax")


@pytest.fixture(scope="module")
def counts():
    return structure.count_text(PACKAGE)


def test_the_root_of_the_package_is_a_table_of_contents():
    # Three more than planned: plan, export and studio are commands that came later.
    assert structure.root_entries(ROOT / "logogan_jax") <= 20


def test_names_are_assigned_one_by_one(counts):
    assert counts["packed per 1,000 lines"] <= 3


def test_modules_are_imported_under_their_own_names(counts):
    assert counts["aliases"] <= 3


def test_functions_and_files_are_short(counts):
    assert counts["longest function"] < 60 and counts["median function"] <= 12
    assert counts["longest file"] <= 250


def test_one_step_is_understood_from_few_modules(counts):
    assert counts["step modules"] <= 6


# ── the counting ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a, b, c = 1, 2, 3", 1),
        ("self.a, self.b = one, two", 1),
        ("(a, b) = (f(x), [])", 1),
        ("def f():\n    a, b = 1, 2\n    c, d = 3, 4", 2),
        ("a, b = f()", 0),
        ("a, b = b, a", 0),
        ("a = 1, 2", 0),
        ("for a, b in pairs:\n    c = a", 0),
    ],
)
def test_packed_assignments_are_counted(text, count):
    assert structure.packed_assignments(text) == count


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("from logogan_jax.core import prng as randomness", 1),
        ("import logogan_jax.train as loop\nimport data_prep.make_logos as logos", 2),
        ("from logogan_jax.core import prng, files as file_tools", 1),
        ("def f():\n    from . import step as steps", 1),
        ("from logogan_jax.core import prng as prng", 0),
        ("import numpy as np\nfrom jax.sharding import PartitionSpec as P", 0),
        ("from logogan_jax.core import prng", 0),
    ],
)
def test_import_aliases_are_counted(text, count):
    assert structure.import_aliases(text) == count


def test_comments_are_counted_by_line():
    text = '"""# Not a comment."""\n\n# One.\nx = "# no"  # Two.\n\n\ny = 1\n'
    assert structure.comment_lines(text) == 2
    assert structure.code_lines(text) == 4
    assert structure.comment_share({"a/b.py": text, "c.py": "z = 1\n"}, "a") == 0.5
    assert structure.comment_share({"a/b.py": text, "c.py": "z = 1\n"}) == 0.4
    assert structure.comment_share({"c.py": "z = 1\n"}, "a") is None


def test_functions_are_measured_from_def_to_their_last_line():
    text = "class A:\n    def f(self):\n        def g():\n            return 1\n        return g\n\nx = lambda: 1\n"
    assert sorted(structure.function_lengths(text)) == [2, 4]


def test_the_modules_of_a_step_are_followed_through_imports_but_not_into_the_core():
    modules = {
        "training/train_step.py": "from logogan_jax.core import prng\nfrom logogan_jax.training import state\n",
        "training/state.py": "def f():\n    import logogan_jax.data.batch\n",
        "training/other.py": "from logogan_jax.training import train_step\n",
        "training/__init__.py": "",
        "data/batch.py": "from logogan_jax.training.state import f\n",
        "core/prng.py": "from logogan_jax.core import files\n",
        "core/files.py": "",
        "__init__.py": "",
    }
    assert structure.step_modules(modules) == [
        "logogan_jax.data.batch", "logogan_jax.training.state", "logogan_jax.training.train_step",
    ]  # fmt: skip


def test_the_entries_of_a_root_are_counted_without_the_cache(tmp_path):
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "core").mkdir()
    (tmp_path / "main.py").write_text("")
    assert structure.root_entries(tmp_path) == 2


def test_a_table_has_one_column_for_each_checkout():
    columns = {
        "before": {"lines": 1200, "comments": 0.04, "comments in training/": None},
        "now": {"lines": 1000, "comments": 0.1, "comments in training/": 0.123},
    }
    assert structure.table(columns).splitlines()[2:] == [
        "| lines | 1,200 | 1,000 |", "| comments | 4.0% | 10.0% |", "| comments in training/ | - | 12.3% |",
    ]  # fmt: skip


@pytest.mark.slow
def test_the_calls_from_main_to_a_loss_are_recorded():
    frames = structure.frames_to_loss(ROOT)
    assert frames[0] == ["main.py", "main"] and frames[-1] == ["objectives/gan.py", "critic_loss"]
    assert len(frames) <= 8 and len({file for file, _ in frames}) <= 5
