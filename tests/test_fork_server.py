"""A forked command is to a test what one in a new interpreter is."""

import subprocess

import fork_server
import pytest
from conftest import ROOT, command, environment


@pytest.mark.slow
@pytest.mark.parametrize("flags", [["--help"], ["--path=/nowhere", "--size=28", "--target_path=none"]])
def test_it_says_the_same_and_ends_alike(flags):
    words = command("data_prep.write_tfrecords", *flags)
    same = {"env": environment(), "cwd": ROOT, "text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    ends = []
    for start in (fork_server.Forked, subprocess.Popen):
        with start(words, **same) as process:
            ends.append((*process.communicate(timeout=60), process.returncode))
    assert ends[0] == ends[1] and any(ends[0][:2])


@pytest.mark.parametrize(("changed", "forked"), [({}, True), ({"JAX_ENABLE_X64": "1"}, False)])
def test_variables_that_are_read_at_the_start_get_a_new_interpreter(changed, forked):
    words = command("data_prep.write_tfrecords", "--help")
    with fork_server.start(words, env=environment(**changed), cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        assert isinstance(process, fork_server.Forked) == forked
    assert process.returncode == 0
