"""Wait until all processes of a run have started, and name those that have not.

JAX's own start-up waits too, but its error does not say which process is missing.
"""

import contextlib
import json
import re
import socket
import time

from logogan_jax.core.errors import Unfinished, UserError

TIMEOUT = 300.0  # seconds within which all processes have to start
_RETRY_DELAY = 0.2  # seconds between two attempts to connect; also the longest wait for a connected process to speak


def wait_for_all(coordinator: str, count: int, process_id: int) -> None:
    """Wait until processes 0, ..., count - 1 have all connected to "host:port", where process 0 listens.

    Raises UserError if `coordinator` has another form. After TIMEOUT seconds every process that has connected raises
    Unfinished, which names the missing ones.
    """
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f"--coordinator={coordinator}: it should be HOST:PORT of process 0, or auto")
    deadline = time.monotonic() + TIMEOUT
    if process_id == 0:
        missing = _accept_all(int(port), count, deadline)
    else:
        missing = _connect(host, int(port), process_id, deadline)
    if missing is None:
        raise Unfinished(
            f"process 0 did not start at {coordinator} within {TIMEOUT:.0f} s: start it there, and make sure that port "
            f"{port} is open between the machines"
        )
    if missing:
        raise Unfinished(
            f"{name_processes(missing)} of {count} did not connect to {coordinator} within {TIMEOUT:.0f} s: start all "
            f"of them, each with its own --process_id"
        )


def name_processes(process_ids: list[int]) -> str:
    """Name processes in words: [1] -> "process 1", [1, 3] -> "processes 1, 3"."""
    return f"process{'es' if len(process_ids) > 1 else ''} {', '.join(map(str, process_ids))}"


def silent_processes(message: str) -> list[int]:
    """Return the processes that give no sign of life, from what JAX's coordinator says; none if it says nothing."""
    listed = re.findall(r"stopped sending heartbeats\):\s*([\d\s]+)", message)
    single = re.findall(r"Task (\d+) heartbeat timeout", message)
    return sorted({int(number) for number in " ".join(listed + single).split()})


def _accept_all(port: int, count: int, deadline: float) -> list[int]:
    """Accept connections until all other processes have connected or time is up. Returns the missing process ids.

    Every process that has connected receives the same list.
    """
    missing = set(range(1, count))
    connections = []
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("", port)))
        while missing and time.monotonic() < deadline:
            server.settimeout(_seconds_until(deadline))
            try:
                connection = stack.enter_context(server.accept()[0])
                # Whoever connects and says nothing must not keep the others out until the deadline.
                connection.settimeout(_RETRY_DELAY)
                missing.discard(json.loads(connection.recv(64))["process"])
            except (OSError, ValueError, KeyError, TypeError):
                continue  # time is up, or it was no process of this run: port scanners knock on open ports
            connections.append(connection)
        # The answer is sent only now, so that all processes go on together or fail together.
        answer = json.dumps({"missing": sorted(missing)}).encode()
        for connection in connections:
            with contextlib.suppress(OSError):  # that process has ended since: the next barrier will name it
                connection.sendall(answer)
    return sorted(missing)


def _connect(host: str, port: int, process_id: int, deadline: float) -> list[int] | None:
    """Tell process 0 that this process has started. Returns the missing process ids, or None without an answer."""
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((host, port), timeout=_seconds_until(deadline)) as connection:
                connection.sendall(json.dumps({"process": process_id}).encode())
                # Process 0 answers at its own deadline, which may be a moment after this one.
                connection.settimeout(_seconds_until(deadline) + 2)
                return json.loads(connection.recv(1 << 16))["missing"]
        except (OSError, ValueError):
            time.sleep(_RETRY_DELAY)  # process 0 does not listen yet
    return None


def _seconds_until(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.01)  # a timeout of 0 would mean "do not wait" to a socket
