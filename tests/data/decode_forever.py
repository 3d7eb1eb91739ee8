"""A program that decodes the shards in a folder until it is stopped, and prints the process ids of its decoders."""

import sys

import numpy as np

from logogan_jax.core import errors
from logogan_jax.data.dataset import TFRecordDataset
from logogan_jax.data.decode_pool import DecoderPool

with errors.exit_on_error():
    dataset = TFRecordDataset(sys.argv[1], size=(28, 28), channels=3)
    pool = DecoderPool(dataset, 2)
    everything = np.arange(len(dataset))
    pool.result(pool.submit(everything))
    print(*pool.pids, flush=True)
    while True:
        pool.result(pool.submit(everything))
