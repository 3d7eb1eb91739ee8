"""A parent passes on what a process of several writes, and says how it ended."""

import contextlib
import socket
import subprocess
import sys

from conftest import ROOT, environment

PROGRAM = """
import sys
from logogan_jax.core.errors import UserError
from logogan_jax.distributed import supervisor

def work():
    print("step", 1, file=sys.stderr)
    raise UserError("batch_size=0: it should be at least 1")

supervisor.run_supervised(work)
"""


def test_a_line_is_written_at_once_because_the_parent_writes_to_the_same_stream(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    written, stream = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)  # what is written at once arrives as one
    with written, stream:
        process = subprocess.Popen([sys.executable, str(script)], env=environment(), cwd=ROOT, stderr=stream)
        assert process.wait(60) == 2
        written.setblocking(False)
        lines = []
        with contextlib.suppress(BlockingIOError):
            while True:
                lines.append(written.recv(1 << 12))
    assert lines == [b"step 1\n", b"error: batch_size=0: it should be at least 1\n"]
