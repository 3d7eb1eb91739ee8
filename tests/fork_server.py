"""Commands in processes that are forked from one that has imported JAX and others already, which takes seconds.

What such a process does not show is tested in new interpreters: how a command starts and what it imports, what is
missing or refused there, and what the options of Python and the variables change that are read at the start.
"""

import contextlib
import functools
import gc
import importlib
import json
import os
import pathlib
import runpy
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent
_COMMON = ("PIL.Image", "google.protobuf.text_format", "google_crc32c", "jinja2", "multiprocessing", "rich.progress")
_JAX = (
    *_COMMON, "absl.app", "flax.nnx", "jax", "jaxlib.mlir.dialects.mhlo", "matplotlib.backends.backend_agg",
    "matplotlib.figure", "ml_collections.config_flags", "optax", "orbax.checkpoint", "safetensors", "tensorboardX",
)  # fmt: skip
# What commands import, by the first part that fits of their names. What is ours, each imports itself.
IMPORTS = {
    "data_prep.wiki_spider": ("rich.progress", "scrapy.crawler"),
    "data_prep.preview_augment": _JAX,
    "data_prep": (*_COMMON, "cssselect2", "h5py", "httpx", "numpy", "resvg_py", "simple_icons_pack", "tinycss2"),
    "logogan_jax": _JAX,
}
# Variables that libraries read when they are imported, and Python when it starts. XLA reads its own when it is used.
_READ_AT_START = ("CUDA", "GRPC", "JAX", "LANG", "LC", "LD", "MALLOC", "MPL", "OMP", "OPENBLAS", "PYTHON", "TF")
_OPTIONS = {"cwd", "env", "process_group", "start_new_session", "stderr", "stdin", "stdout", "text"}
USUAL = {}  # variables of the server; conftest.py sets them


def start(words, **options):
    """Start a command line as subprocess.Popen(words, **options) does, but forked where it is one of ours."""
    environment = os.environ if options.get("env") is None else options["env"]
    forked = _target(words) and options.keys() <= _OPTIONS and _alike(environment) and _has_pidfd()
    return (Forked if forked else subprocess.Popen)(words, **options)


def run(words, *, check=False, capture_output=False, input=None, timeout=240, **options):
    """Run a command line to its end as subprocess.run(words, **options) does, in 4 minutes at most."""
    if capture_output:
        options.update(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if input is not None:
        options.update(stdin=subprocess.PIPE)
    with start(words, **options) as process:
        try:
            out, err = process.communicate(input, timeout)
        except BaseException:
            process.kill()
            raise
    done = subprocess.CompletedProcess(words, process.returncode, out, err)
    if check:
        done.check_returncode()
    return done


def end():
    """End the servers and wait for them, so that their processes have their place in the costs of the tests."""
    for control, process in _servers.values():
        control.close()
        process.communicate()
    _servers.clear()


@functools.cache
def _has_pidfd():
    """Return whether this system tells the server when a process has ended: others start new interpreters."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return True


def _target(words):
    """Return the module or the script of ours that a command line runs, or an empty string."""
    python, *rest = map(str, words)
    if python != sys.executable or not rest:
        return ""
    module = rest[1] if rest[0] == "-m" else ""
    return module if module.split(".")[0] in IMPORTS else rest[0] if rest[0].startswith(f"{ROOT}{os.sep}") else ""


def _alike(environment):
    """Return whether the interpreter of the server starts as a new one would under these variables."""
    return _read_at_start(environment) == _read_at_start(USUAL) and all(
        pathlib.Path(folder).is_relative_to(ROOT) for folder in _python_path(environment)
    )


def _python_path(environment):
    return [os.path.abspath(folder) for folder in environment.get("PYTHONPATH", "").split(os.pathsep) if folder]


def _read_at_start(environment):
    names = [name for name in environment if name.split("_")[0] in _READ_AT_START and name != "PYTHONPATH"]
    return {name: environment[name] for name in names}


_servers = {}  # what is imported -> (connection, process) of a server, which imports nothing else


def _server(target):
    """Return (connection, process) of the server for a module or script, which is started for the first one."""
    names = next((names for start, names in IMPORTS.items() if target.startswith(start)), IMPORTS["logogan_jax"])
    if names not in _servers:
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        variables = {name: value for name, value in USUAL.items() if name != "PYTHONPATH"}
        words = [sys.executable, __file__, str(theirs.fileno()), *names]
        # Python remembers of its streams whether one can seek in them: nowhere in those that its forks get.
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        with theirs:
            _servers[names] = control, subprocess.Popen(words, env=variables, pass_fds=[theirs.fileno()], **pipes)
    return _servers[names]


class Forked(subprocess.Popen):
    """A process of the server, whose exit status comes from there: it is no child of this one."""

    def _execute_child(self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, *others):
        pipes, (new_session, group) = others[3:9], others[-2:]
        self._status, told = os.pipe()
        words = list(map(str, args))
        control, self._parent = _server(_target(words))
        request = {"words": words, "target": _target(words), "cwd": os.path.abspath(cwd or "."),
                   "env": dict(os.environ if env is None else env), "session": new_session, "group": group}  # fmt: skip
        streams = [usual if pipe == -1 else pipe for usual, pipe in enumerate((pipes[0], pipes[3], pipes[5]))]
        try:
            socket.send_fds(control, [json.dumps(request).encode()], [*streams, told])
        finally:
            os.close(told)
            self._close_pipe_fds(*pipes)
        self.pid = self._number()
        self._child_created = True

    def _number(self):
        told = os.read(self._status, 8)
        if not told:
            raise RuntimeError(f"the server of forked commands has ended: {self._parent.communicate()[1].decode()}")
        return int.from_bytes(told, "little", signed=True)

    def _internal_poll(self, _deadstate=None):
        return self._ended(0)

    def _wait(self, timeout):
        if self._ended(timeout) is None:
            raise subprocess.TimeoutExpired(self.args, timeout)
        return self.returncode

    def _ended(self, timeout):
        if self.returncode is None and select.select([self._status], [], [], timeout)[0]:
            self.returncode = self._number()
            os.close(self._status)
        return self.returncode


# ── in the server ───────────────────────────────────────────────────────────────────────────


def serve(control):
    """Fork for each request, until the tests have ended. Returns (request, its four file descriptors) in a child."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the tests end this process
    children = {}  # file descriptor of a process -> (its id, where its status is told)
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fd in children:
                selector.unregister(key.fd)
                _tell_end(key.fd, *children.pop(key.fd))
                continue
            message, descriptors, _, _ = socket.recv_fds(control, 1 << 18, 4)
            if not message:
                sys.exit()
            request = json.loads(message)
            pid = os.fork()
            if pid == 0:
                selector.close()
                control.close()
                for descriptor, (_, told) in children.items():
                    os.close(descriptor)
                    os.close(told)
                return request, descriptors
            for descriptor in descriptors[:3]:
                os.close(descriptor)
            descriptor = os.pidfd_open(pid)
            children[descriptor] = pid, descriptors[3]
            selector.register(descriptor, selectors.EVENT_READ)


def _import_all(names):
    for name in names:
        importlib.import_module(name)
    assert threading.active_count() == 1, "a library has started a thread, which would be missing in a fork"
    gc.collect()
    gc.freeze()


def _tell_end(descriptor, pid, told):
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with contextlib.suppress(BrokenPipeError):  # nobody asks any more
        os.write(told, status.to_bytes(8, "little", signed=True))
    os.close(descriptor)
    os.close(told)


def become(request, descriptors):
    """Make this fork the process that was asked for, up to its command line."""
    *streams, told = descriptors
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.stdout.reconfigure(line_buffering=sys.stdout.isatty())
    if request["session"]:
        os.setsid()
    if request["group"] != -1:
        os.setpgid(0, request["group"])
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.orig_argv = request["words"]
    sys.argv = request["words"][1:]
    module = sys.argv[0] == "-m"
    if module:
        del sys.argv[1]
    sys.path[:1] = [request["cwd"] if module else os.path.dirname(sys.argv[0]), *_python_path(os.environ)]
    importlib.invalidate_caches()
    os.write(told, os.getpid().to_bytes(8, "little", signed=True))
    os.close(told)
    return functools.partial(runpy.run_module, alter_sys=True) if module else runpy.run_path


if __name__ == "__main__":
    _import_all(sys.argv[2:])
    asked, given = serve(socket.socket(fileno=int(sys.argv[1])))
    become(asked, given)(asked["target"], run_name="__main__")
