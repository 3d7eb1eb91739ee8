"""Look at runs, draw and train in a browser: python -m logogan_jax.studio [--runs=runs] [--port=8600].

Shows all runs below a folder with their curves and pictures, explores the pictures that a run can draw, and trains on
a folder of images. Only this machine reaches it, unless --host says otherwise.
"""

import contextlib
import importlib.util
import socket

from absl import flags

from logogan_jax.core import cli, files, installation
from logogan_jax.core.errors import UserError

_PACKAGES = ("starlette", "uvicorn")


def define() -> None:
    """Define the flags of the command."""
    flags.DEFINE_string("runs", "runs", "folder below which the runs lie")
    flags.DEFINE_integer("port", 8600, "on which the page is; 0: any that is free", lower_bound=0, upper_bound=65_535)
    flags.DEFINE_string("host", "127.0.0.1", "address to bind to; 0.0.0.0 lets others in who have the printed address")


def main() -> None:
    """Run the command."""
    for package in _PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise UserError(f"the studio needs {package}: {installation.install_command('studio')}")
    root = files.expand(flags.FLAGS.runs)
    if not root.is_dir():
        raise UserError(f"--runs={flags.FLAGS.runs} is no folder: give the one in which your runs lie, or make it")
    import uvicorn

    from logogan_jax.studio import guard, server

    host = flags.FLAGS.host
    token = guard.new_token(host)
    with _listen(host, flags.FLAGS.port) as listening:
        port = listening.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        print(f"The studio is at http://{shown}:{port}/{f'?token={token}' if token else ''}", flush=True)
        print("Ctrl-C ends it.", flush=True)
        app = server.make_app(root, host, token)
        config = uvicorn.Config(app, log_level="warning", lifespan="on", server_header=False)
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn has ended all that runs, and raises the signal again
            uvicorn.Server(config).run(sockets=[listening])


def _listen(host: str, port: int) -> socket.socket:
    """Return a socket bound to an address; UserError if it cannot be."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
    except OSError as error:
        raise UserError(
            f"--host={host} --port={port} cannot be bound ({error.strerror}): choose another port"
        ) from None
    return listening


def command() -> None:
    """Run this module as the command logogan-studio."""
    cli.run(main, define)


if __name__ == "__main__":
    command()
