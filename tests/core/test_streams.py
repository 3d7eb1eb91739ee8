"""A closed terminal or pipe ends no command, and no message promises what is not so."""

import os
import signal
import subprocess
import sys

import pytest
from conftest import environment

from logogan_jax.core import errors
from logogan_jax.core.errors import StoppedAtOnce
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
