"""The roll call of a run's processes, so that one that does not come is named instead of waited for."""

import contextlib
import json
import socket
import time

from logogan_jax.core.errors import Unfinished, UserError

TIMEOUT = 300.0  # seconds in which all processes have to come
_PAUSE = 0.2


def wait_for_all(coordinator, count, number):
    """Return once processes 0, ..., count - 1 have all come to "host:port", where process 0 listens for a moment.

    After TIMEOUT seconds all that have come raise Unfinished, which names the missing ones.
    """
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit():
        raise UserError(f"--coordinator={coordinator}: it should be HOST:PORT of process 0, or auto")
    deadline = time.monotonic() + TIMEOUT
    missing = _listen(int(port), count, deadline) if number == 0 else _answer(host, int(port), number, deadline)
    if missing is None:
        raise Unfinished(
            f"process 0 did not come to {coordinator} within {TIMEOUT:.0f} s: start it there, and see that port {port} "
            f"is open between the machines"
        )
    if missing:
        raise Unfinished(
            f"{name_processes(missing)} of {count} did not come to {coordinator} within {TIMEOUT:.0f} s: start all of "
            f"them, each with its own --process_id"
        )


def name_processes(numbers):
    """[1] -> "process 1", [1, 3] -> "processes 1, 3"."""
    return f"process{'es' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def _listen(port, count, deadline):
    """The numbers of the processes that did not come, which those that came are told."""
    missing, callers = set(range(1, count)), []
    with contextlib.ExitStack() as calls:
        server = calls.enter_context(socket.create_server(("", port)))
        while missing and time.monotonic() < deadline:
            server.settimeout(max(deadline - time.monotonic(), 0.01))
            try:
                caller = calls.enter_context(server.accept()[0])
                caller.settimeout(_PAUSE)
                missing.discard(json.loads(caller.recv(64))["process"])
            except (OSError, ValueError, KeyError, TypeError):
                continue  # time is up, or somebody else has knocked
            callers.append(caller)
        told = json.dumps({"missing": sorted(missing)}).encode()
        for caller in callers:
            with contextlib.suppress(OSError):  # it has gone; whoever waits for it next says so
                caller.sendall(told)
    return sorted(missing)


def _answer(host, port, number, deadline):
    """As `_listen`, as told by process 0; None if it does not come itself."""
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((host, port), timeout=max(deadline - time.monotonic(), 0.01)) as call:
                call.sendall(json.dumps({"process": number}).encode())
                call.settimeout(max(deadline - time.monotonic(), 0.01) + 2)
                return json.loads(call.recv(1 << 16))["missing"]
        except (OSError, ValueError):
            time.sleep(_PAUSE)  # not there yet
    return None
