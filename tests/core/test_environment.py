"""What the machine or its environment lacks is one line, whatever the terminal can show and the disk can do."""

import contextlib
import errno
import io
import json
import os
import pathlib
import shlex
import subprocess
import sys

import jax
import pytest
from conftest import ROOT, command, drawing, environment, failing, four, on_toy_networks

from data_prep import arguments, svg_to_png, wiki_spider, write_tfrecords
from data_prep.pictures.convert import ImageSpec
from data_prep.web import crawl_policy
from logogan_jax import loop
from logogan_jax.config import memory
from logogan_jax.core import backend, errors, startup
from logogan_jax.core.errors import UserError
from logogan_jax.data.dataset import TFRecordDataset
from logogan_jax.training import checkpoints
from logogan_jax.training.reporting import messages

# ── devices and settings of JAX ─────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_cuda_without_a_gpu_names_the_extra(tmp_path):
    line = failing("--config=quickstart", f"--workdir={tmp_path}", JAX_PLATFORMS="cuda", CUDA_VISIBLE_DEVICES="")
    assert line.startswith("error: JAX_PLATFORMS=cuda, but there is no such device here (")
    assert "install JAX for it by pip install -e '.[cuda]', check the driver, or set JAX_PLATFORMS=cpu" in line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("platforms", "message"), [
    ("gpu", r"JAX_PLATFORMS=gpu, but .*'\.\[cuda\]'"),
    ("tpu", r"JAX_PLATFORMS=tpu, but .*'\.\[tpu\]'"),
    ("cuda,tpu", r"JAX_PLATFORMS=cuda,tpu, but .*'\.\[cuda\]'"),
    ("CUDA", r"JAX_PLATFORMS=CUDA is no platform of JAX here \(.*\): set it to cpu, cuda or tpu, or unset it"),
    ("rocm", r"JAX_PLATFORMS=rocm, but .*\): check the driver, or set JAX_PLATFORMS=cpu"),
    ("", r"JAX finds no device \(.*\): set JAX_PLATFORMS=cpu"),
])  # fmt: skip
@pytest.mark.parametrize("error", [AssertionError(), RuntimeError("Unable to\ninitialize backend")])
def test_a_platform_that_is_not_here_is_one_line(platforms, message, error):
    with pytest.raises(UserError, match=f"^{message}"):
        raise UserError(backend._describe("JAX_PLATFORMS", platforms, error))


def test_64_bits_are_refused_before_anything_is_drawn(tmp_path):
    line = failing("--config=quickstart", f"--workdir={tmp_path}", JAX_ENABLE_X64="1")
    assert line == (
        "error: JAX_ENABLE_X64 is on, but the networks are made of 32-bit numbers: unset it, or set it to 0"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "module"), [
    ("JAX_ENABLE_X64", "logogan_jax.sample"), ("JAX_NUM_CPU_DEVICES", "logogan_jax.main"),
])  # fmt: skip
def test_a_setting_that_jax_refuses_is_named(name, module, tmp_path):
    flags = ("--config=quickstart",) if module == "logogan_jax.main" else (f"--out={tmp_path / 'out'}",)
    line = failing(*flags, f"--workdir={tmp_path / 'run'}", module=module, **{name: "maybe"})
    assert line.startswith(f"error: {name}=maybe is refused by JAX (") and line.endswith("): correct it, or unset it")


@pytest.mark.parametrize("module", ["logogan_jax.main", "logogan_jax.sample", "data_prep.write_tfrecords"])
def test_a_system_without_file_locks_is_one_line(module, tmp_path):
    (tmp_path / "fcntl.py").write_text("raise ImportError('No module named fcntl')\n")
    line = failing("--help", module=module, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert line.startswith("error: logogan_jax needs Linux or macOS, and this is ") and "WSL 2" in line


# ── the terminal ────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def ascii_terminal():
    """Let stdout and stderr show ASCII alone; yields the bytes that they show."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, "ascii", write_through=True)
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        yield raw
    stream.detach()  # or it would close the bytes with itself


def test_names_that_a_terminal_cannot_show_are_printed_as_escapes():
    with ascii_terminal() as shown, errors.exit_on_error():
        print("caf\u00e9", os.fsdecode(b"\xff"))
    assert shown.getvalue() == b"caf\\xe9 \\udcff\n"


def test_a_folder_of_any_name_becomes_shards_on_an_ascii_terminal(tmp_path):
    folder = tmp_path / "caf\u00e9 \u4e2d" / "m\u00f6we"
    folder.mkdir(parents=True)
    for number in range(2):
        drawing(number).save(folder / f"\u00fc{number}.png")
    target = tmp_path / "sh\u00e4rds"
    with ascii_terminal() as shown:
        write_tfrecords.main([f"--path={folder.parent}", "--size=8", f"--target_path={target}", "--workers=1"])
    assert b"2 images written to" in shown.getvalue() and (target / "metadata.json").is_file()


def test_an_error_about_a_name_with_a_line_break_is_one_line(capsys):
    with pytest.raises(SystemExit), errors.exit_on_error():
        raise UserError("--path=a\nb is not a folder")
    assert capsys.readouterr().err == "error: --path=a b is not a folder\n"


@pytest.mark.parametrize("folder", ["my shards", "it's", "a;b", "$HOME", "caf\u00e9 (1)"])
def test_printed_commands_can_be_pasted(folder, tmp_path):
    flags = shlex.split(arguments.training_flags(tmp_path / folder, ImageSpec(28)))
    assert f"--config.data.dir={tmp_path / folder}" in flags
    summary = {"status": "finished", "steps": 1, "seconds": 1.0}
    command = messages.final_message(tmp_path / folder, summary).rpartition("python -m ")[2]
    assert shlex.split(command) == ["logogan_jax.evaluate", f"--workdir={tmp_path / folder}"]


@pytest.mark.parametrize("size", ["0", "-1", "1000000000000"])
def test_a_size_that_no_picture_has_is_one_line(tmp_path, capsys, size):
    (tmp_path / "a.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"/>')
    with pytest.raises(SystemExit) as left:
        svg_to_png.main([f"--path={tmp_path}", f"--size={size}", f"--target_path={tmp_path / 'png'}"])
    assert left.value.code == 2 and not (tmp_path / "png").exists()
    assert capsys.readouterr().err == f"error: --size={size} should be from 1 to 4096 pixels\n"


def test_bytes_that_are_no_text_are_one_line(capsys):
    with pytest.raises(SystemExit) as left, errors.exit_on_error():
        os.fsdecode(b"Category:\xff").encode()
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("error: 'Category:\\udcff' has bytes that are no text in UTF-8: ")


@pytest.mark.parametrize("category", [os.fsdecode(b"Category:\xff"), "Category:a\nb"])
def test_a_category_that_is_no_text_is_asked_of_no_server(category, capsys):
    with pytest.raises(SystemExit) as left:
        wiki_spider.main([f"--category={category}", "--api=http://127.0.0.1:9/api.php"])
    assert left.value.code == 2 and capsys.readouterr().err.endswith("should be the name of a category, in UTF-8\n")


def test_a_contact_that_no_request_can_carry_is_one_line():
    with pytest.raises(UserError, match=r"--contact=.* should be an e-mail address or a page in plain ASCII"):
        crawl_policy.user_agent("m\u00f6we", "library")


# ── memory, files and folders ───────────────────────────────────────────────────────────────

XLA = "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 68719476736 bytes."


@pytest.mark.parametrize("error", [
    MemoryError(), jax.errors.JaxRuntimeError(XLA), RuntimeError("CUDA_ERROR_OUT_OF_MEMORY"),
    OSError(errno.ENOMEM, "Cannot allocate memory"), ValueError(XLA), RuntimeError("std::bad_alloc"),
])  # fmt: skip
def test_too_little_memory_is_never_a_full_disk_and_names_what_to_make_smaller(tiny, error, capsys):
    with pytest.raises(UserError) as caught, memory.name_settings(tiny()), checkpoints._full_disk_named("/run"):
        raise error
    assert str(caught.value).startswith(
        "the memory is full with config.train.batch_size 8, config.model.width 4 and config.data.size 28: "
        "use --config.train.batch_size=4 in another --workdir, "
    )
    with pytest.raises(SystemExit) as left, errors.exit_on_error():
        raise error
    line = capsys.readouterr().err
    assert left.value.code == 2 and line.startswith("error: the memory is full: ") and line.count("\n") == 1


def test_a_run_for_which_the_memory_is_too_small_ends_in_one_line(toy_networks, shards, tmp_path, monkeypatch):
    def full(*_, **__):
        raise jax.errors.JaxRuntimeError(XLA)

    monkeypatch.setattr(loop, "train_loop", full)
    with pytest.raises(UserError, match=r"the memory is full with config.train.batch_size 8, config.model.width 16"):
        loop.train(on_toy_networks(four(shards)), tmp_path / "run")


@pytest.mark.parametrize(
    "key", ["model.kernel", "model.width", "model.latent", "objective.critic_updates", "train.ema_images"]
)
def test_a_network_that_no_machine_can_build_is_refused_at_once(shards, tmp_path, key):
    with pytest.raises(UserError, match=rf"config.{key} is 1000000000000: it should be at most "):
        loop.train(four(shards, **{key: 10**12}), tmp_path / "run")


@pytest.mark.parametrize("seed", [-1, 1 << 63])
def test_a_seed_that_no_random_numbers_have_is_one_line(shards, tmp_path, seed):
    with pytest.raises(UserError, match=rf"config.train.seed is {seed}: it should be from 0 to "):
        loop.train(four(shards, **{"train.seed": seed}), tmp_path / "run")


def test_a_batch_for_which_there_are_too_few_images_is_not_taken_for_too_little_memory(shards, tmp_path):
    with pytest.raises(UserError, match=r"50 images to train on are fewer than one batch"):
        loop.train(four(shards, **{"train.batch_size": 10**12}), tmp_path / "run")


def test_a_full_disk_is_still_a_full_disk(tiny):
    with pytest.raises(OSError, match="No space left"), memory.name_settings(tiny()):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert not errors.is_out_of_memory(ValueError("RESOURCE_EXHAUSTED: No space left on device"))


@pytest.mark.parametrize(("call", "path"), [
    (lambda folder: folder.read_text(), "{folder}"),
    (lambda folder: (folder / "file" / "a").read_text(), "{folder}/file/a"),
    (lambda folder: pathlib.Path("/proc/none/a").write_text(""), "/proc/none/a"),
    (lambda folder: (folder / ("x" * 300)).stat(), "{folder}/" + "x" * 300),
    (lambda folder: (folder / "loop").stat(), "{folder}/loop"),
    (lambda folder: os.replace(folder / "file", folder / "full"), "{folder}/full"),
    (lambda folder: os.listdir(os.fsencode(folder / "file")), "{folder}/file"),
])  # fmt: skip
def test_a_file_or_folder_that_cannot_be_used_is_one_line(tmp_path, capsys, call, path):
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SystemExit) as left, errors.exit_on_error():
        call(tmp_path)
    line = capsys.readouterr().err
    assert left.value.code == 2 and line.count("\n") == 1
    assert line.startswith(f"error: {path.format(folder=tmp_path)} cannot be used (")


def test_errors_that_may_pass_keep_their_status_so_that_a_supervisor_starts_again():
    with pytest.raises(OSError, match="stale"), errors.exit_on_error():
        raise OSError(errno.ESTALE, "stale file handle", "/nfs/run")


def test_an_unknown_home_folder_is_one_line(capsys):
    with pytest.raises(SystemExit), errors.exit_on_error():
        (ROOT / "~nobody-here").relative_to(ROOT).expanduser()
    assert capsys.readouterr().err.startswith("error: a path with ~ names a home folder that is not known here")


def test_a_command_in_a_folder_that_is_gone_is_one_line(tmp_path, monkeypatch, capsys):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(SystemExit) as left:
        write_tfrecords.main([f"--path={tmp_path}", "--size=8", "--target_path=shards"])
    assert left.value.code == 2
    assert capsys.readouterr().err == (
        "error: the folder in which this command was started is gone: cd to one that exists\n"
    )


# ── the locale ──────────────────────────────────────────────────────────────────────────────


def test_names_with_umlauts_are_the_same_labels_in_every_locale(tmp_path):
    for number, label in enumerate(("Zürich", "ß")):
        (tmp_path / "Größe" / label).mkdir(parents=True)
        drawing(number).save(tmp_path / "Größe" / label / "é.png")
    (tmp_path / "Größe" / "ß" / "ä.txt").write_text("no image", encoding="utf-8")
    out = tmp_path / "ausgeführt"
    done = subprocess.run(
        command("data_prep.write_tfrecords", f"--path={tmp_path / 'Größe'}", "--size=28", f"--target_path={out}"),
        env=environment(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0"), cwd=ROOT, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert TFRecordDataset.open(out).labels == {"Zürich": 1, "ß": 1}
    assert (out / "label.labels.txt").read_text(encoding="utf-8").split() == ["Zürich", "ß"]
    assert json.loads((out / "rejects.jsonl").read_text(encoding="utf-8"))["path"] == "ß/ä.txt"


@pytest.mark.parametrize("encoding", ["ascii", "iso8859-1", "utf-8"])
def test_only_a_command_that_would_misread_names_is_started_anew(monkeypatch, encoding):
    started = []
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: encoding)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-W", "error", "-m", "logogan_jax.main", "--help"])
    monkeypatch.setattr(os, "execve", lambda *arguments: started.append(arguments))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    startup.check_system()  # a program that imports the package
    assert not started
    monkeypatch.setattr(sys, "argv", ["-m", "--help"])
    startup.check_system()
    assert len(started) == (encoding != "utf-8")
    for program, words, variables in started:
        assert program == sys.executable and variables["PYTHONUTF8"] == "1"
        assert words == [program, "-X", "utf8", "-W", "error", "-m", "logogan_jax.main", "--help"]
