"""The training command with the networks of two layers by the name "toy", the toy of a feature network, and no pauses.

Several devices share these networks' kernels, and "momentum" is an optimizer.
Uploads to a bucket follow one another every half a second, and a lost process is noticed after ten.
"""

from logogan_jax import main
from logogan_jax.core import backend
from logogan_jax.distributed import multihost

start_jax = backend.start


def start():
    # Not at the top: of several processes each has to meet the others before anything asks JAX for its devices.
    from toy_networks import SHARED, TOY, momentum, toy_features

    from logogan_jax.core.storage import upload_thread
    from logogan_jax.distributed import data_parallel
    from logogan_jax.metrics import features
    from logogan_jax.networks import NETWORKS
    from logogan_jax.training.optimizers import OPTIMIZERS

    NETWORKS["toy"] = TOY
    OPTIMIZERS["momentum"] = momentum
    data_parallel.LEAST_SHARED = SHARED
    features.load_network = lambda spec, key="": toy_features()
    upload_thread.PACE = 0.5
    start_jax()


if __name__ == "__main__":
    multihost.HEARTBEAT_TIMEOUT = 10
    backend.start = start
    main.command()
