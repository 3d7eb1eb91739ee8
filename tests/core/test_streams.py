"""A closed terminal or pipe ends no command, and no message promises what is not so."""

import contextlib
import errno
import os
import signal
import subprocess
import sys

import pytest
from conftest import environment

from logogan_jax.core import errors
from logogan_jax.core.errors import StoppedAtOnce, UserError
from logogan_jax.distributed.preemption import StopRequest

SCRIPT = """
import sys
from logogan_jax.core import errors
from logogan_jax.core.progress import Bar
with errors.exit_on_error():
    for i in range(3000):
        print("a line of output", i, flush=True)
        print("a line of errors", i, file=sys.stderr, flush=True)
    with Bar("step", 2) as bar:
        bar.say("a line above the bar")
        bar.update(2)
    open(sys.argv[1], "w").write("done")
"""


@pytest.mark.parametrize("shell", ["2>&1 | head -n 1", "2>&1 | true", "| head -n 1", ">&-", "2>&-", ">&- 2>&-"])
def test_a_command_whose_output_nobody_reads_does_its_work(tmp_path, shell):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    line = f"set -o pipefail; {sys.executable} {script} {tmp_path / 'done'} {shell}"
    done = subprocess.run(["bash", "-c", line], env=environment(), text=True, capture_output=True)
    assert (tmp_path / "done").read_text() == "done" and done.returncode == 0, done
    assert "Error" not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_a_request_to_stop(number):
    before = signal.getsignal(number)
    with StopRequest() as stop:
        assert not stop.requested(1)
        os.kill(os.getpid(), number)
        assert stop.requested(2) and stop.reason == number.name
    assert signal.getsignal(number) == before


def test_a_run_under_nohup_outlasts_its_terminal():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest() as stop, errors.exit_on_error():
            os.kill(os.getpid(), signal.SIGHUP)
            assert not stop.requested(1)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_ctrl_c_promises_nothing_that_was_not_saved(capsys):
    with pytest.raises(SystemExit) as caught, errors.exit_on_error(), StopRequest():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(StoppedAtOnce):
            os.kill(os.getpid(), signal.SIGINT)
        raise StoppedAtOnce
    assert caught.value.code == 130
    said = capsys.readouterr().err
    assert "nothing was saved" in said and "newest checkpoint, if there is one" in said and said.count("\n") == 1


def test_a_closed_terminal_ends_a_tool_as_ctrl_c_does(capsys):
    with pytest.raises(SystemExit) as caught, errors.exit_on_error():
        os.kill(os.getpid(), signal.SIGHUP)
    assert caught.value.code == 128 + signal.SIGHUP
    assert "the same command goes on" in capsys.readouterr().err


def of_a_lock():
    """What threading raises where a signal has come inside a lock."""
    raise RuntimeError("release unlocked lock")


def of_a_library():
    """What a function makes of whatever a library has raised."""
    try:
        raise RuntimeError("cannot schedule new futures")
    except Exception:
        raise UserError("logos.tfrecord is damaged: write it again") from None


def of_a_disk():
    """What the clean-up finds."""
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("raise_another", [of_a_lock, of_a_library, of_a_disk])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_command_says_so_whatever_error_comes_of_it(capsys, number, raise_another):
    with pytest.raises(SystemExit) as caught, errors.exit_on_error():
        try:
            os.kill(os.getpid(), number)
        except KeyboardInterrupt:
            raise_another()
    assert caught.value.code == 128 + number
    assert capsys.readouterr().err == "stopped: the same command goes on where this one was\n"


def test_an_error_after_a_request_to_stop_that_was_answered_is_an_error(capsys):
    with pytest.raises(SystemExit) as caught, errors.exit_on_error():
        with contextlib.suppress(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        raise UserError("wrong")
    assert caught.value.code == 2 and capsys.readouterr().err == "error: wrong\n"
