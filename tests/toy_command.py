"""The training command, which knows the networks of two layers by the name "toy" besides its own."""

from logogan_jax import main
from logogan_jax.core import backend

start_jax = backend.start


def start():
    # Not at the top: of several processes each has to meet the others before anything asks JAX for its devices.
    from toy_networks import TOY

    from logogan_jax.networks import NETWORKS

    NETWORKS["toy"] = TOY
    start_jax()


if __name__ == "__main__":
    backend.start = start
    main.command()
