"""Configs by name or path, keys and flag files in any order; what is wrong with them is one line."""

import re

import pytest
from conftest import ROOT, failing
from ml_collections import ConfigDict

from logogan_jax.core import command_line, installation
from logogan_jax.core.errors import UserError

WGAN56 = f"--config={ROOT / 'configs' / 'wgan56.py'}"
START = "from logogan_jax.config import defaults\n\ndef get_config():\n    config = defaults.get_config()\n"


@pytest.mark.parametrize("words", [
    ["--config=wgan56", "--config.train.steps=20"],
    ["--config", "wgan56", "--config.train.steps=20"],
    ["-config=wgan56", "--config.train.steps=20"],
    ["--config.train.steps=20", "--config=wgan56"],
    ["--config.train.steps=20", "--config", "wgan56"],
    ["--flagfile={file}"],
    ["--flagfile", "{file}"],
    ["--flagfile={keys}", "--config=wgan56"],
    ["--config=wgan56", "--flagfile={keys}"],
    ["--flagfile={nested}"],
])  # fmt: skip
def test_a_config_by_name_goes_with_its_keys_in_any_order_and_in_flag_files(tmp_path, words):
    texts = {
        "file": "# my flags\n--config=wgan56\n--config.train.steps=20\n",
        "keys": "--config.train.steps=20\n",
        "nested": f"--flagfile={tmp_path / 'keys'}\n--config=wgan56\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    words = [word.format(**{name: tmp_path / name for name in texts}) for word in words]
    found = command_line.expand(["main", *words])
    assert [word.removeprefix("-") for word in found] == ["main", WGAN56[1:], "-config.train.steps=20"]


def test_flags_of_a_file_train_as_flags_of_the_line_do(tmp_path):
    (tmp_path / "flags").write_text("--config=wgan56\n--config.train.steps=20\n--max_cost=3\n")
    assert "--max_cost=3 needs the price" in failing(f"--flagfile={tmp_path / 'flags'}")
    (tmp_path / "flags").write_text("--config=wgan56\n--config.train.stepz=20\n")
    assert "did you mean config.train.steps?" in failing(f"--flagfile={tmp_path / 'flags'}")


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_flag_file_that_cannot_be_read_is_one_line(tmp_path, content):
    path = tmp_path / "flags"
    if content:
        path.write_bytes(content)
    assert failing(f"--flagfile={path}").startswith(f"error: --flagfile={path}: ")


def test_a_folder_is_no_flag_file(tmp_path):
    with pytest.raises(UserError, match=r"Is a directory.*: give a text file, a flag a line"):
        command_line.expand(["main", f"--flagfile={tmp_path}"])


def test_the_last_of_several_values_counts():
    assert command_line.flag_value(["main", "--config=a", "--x", "1", "--config=b"], "config") == "b"
    assert command_line.flag_value(["main", "--workdir", "a b"], "workdir") == "a b"
    assert command_line.flag_value(["main", "--config.train.steps=3"], "config") == ""


def test_a_path_with_a_tilde_is_in_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert installation.config_path("~/mine.py") == str(tmp_path / "mine.py")


@pytest.mark.parametrize(("value", "message"), [
    ("", r"--config is missing"),
    ("{tmp}", r"--config=.* cannot be read \(Is a directory\): give a file, or a name"),
    ("{tmp}/no.py", r"--config=.*no.py: there is no such file; .* has mine$"),
    ("{tmp}/mine.py/b.py", r"--config=.*b.py cannot be read \(Not a directory\)"),
    ("{tmp}/" + "a" * 300 + ".py", r"--config=.* cannot be read \(File name too long\)"),
])  # fmt: skip
def test_a_config_that_is_no_file_is_one_line(tmp_path, value, message):
    (tmp_path / "mine.py").touch()
    with pytest.raises(UserError, match=message):
        command_line.check_config_files(["main", f"--config={value.format(tmp=tmp_path)}"])


@pytest.mark.parametrize(("body", "message"), [
    ("    return config +\n", r"line 5: SyntaxError: invalid syntax"),
    ("    return 1 / 0\n", r"line 5: ZeroDivisionError: division by zero$"),
    ("    config.train.steps = 'many'\n    return config\n", r"line 5: TypeError: .*'steps'"),
    ("    return {}['nothing']\n", r"line 5: KeyError: 'nothing'$"),
    ("    return open('/nowhere')\n", r"FileNotFoundError|No such file"),
    ("    return None\n", r"get_config\(\) returns a NoneType without 'data': it should return a changed defaults"),
    ("    return {'data': 1}\n", r"get_config\(\) returns a dict without 'augment'"),
])  # fmt: skip
def test_a_mistake_in_a_config_file_is_one_line_with_its_place(tmp_path, body, message):
    path = tmp_path / "mine.py"
    path.write_text(START + body)
    line = failing(f"--config={path}", f"--workdir={tmp_path / 'run'}")
    assert line.startswith(f"error: --config={path}") and re.search(message, line), line


def test_a_config_without_a_block_is_named():
    with pytest.raises(UserError, match=r"--config=mine.py: get_config\(\) returns a ConfigDict without 'augment'"):
        command_line.check_config(["main", "--config=mine.py"], ConfigDict({"data": {}}))
