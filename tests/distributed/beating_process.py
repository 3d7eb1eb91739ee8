"""One of several processes that only give signs of life, under a parent as in training: COORDINATOR COUNT PROCESS_ID.

It prints its own number of process, to which a test sends signals.
"""

import os
import sys
import time

from logogan_jax.core import errors
from logogan_jax.distributed import supervisor


def live() -> None:
    """Be one of the processes, for a minute."""
    from logogan_jax.distributed import multihost

    multihost.HEARTBEAT_TIMEOUT = 3
    multihost.initialize(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    print(os.getpid(), flush=True)
    time.sleep(60)


if __name__ == "__main__":
    with errors.exit_on_error():
        supervisor.run_supervised(live)
