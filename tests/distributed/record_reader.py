"""One of two processes that read three batches; it prints which records it read: COORDINATOR PROCESS_ID SHARDS."""

import json
import sys

import numpy as np

from logogan_jax.distributed import multihost

if __name__ == "__main__":
    multihost.initialize(sys.argv[1], 2, int(sys.argv[2]))  # before any import that asks JAX for devices

    from conftest import four

    from logogan_jax.config import build_training
    from logogan_jax.data import decode_pool

    read = []
    make_decoder = decode_pool.make_decoder

    def make_recording_decoder(part):
        decoder = make_decoder(part)
        submit = decoder.submit

        def record(positions, needs_pixels):
            read.append(positions.tolist())
            return submit(positions, needs_pixels)

        decoder.submit = record
        return decoder

    decode_pool.make_decoder = make_recording_decoder
    config = four(sys.argv[3], **{"data.source": "stream", "data.held_out": 0.0})
    training = build_training.build(config)
    feeds = [training.runner.source.at(step, 1) for step in range(3)]
    rows = [np.asarray(feed.index.addressable_data(0)).tolist() for feed in feeds]
    training.runner.source.close()
    multihost.shutdown()
    print(json.dumps({"asked": read[:3], "rows": rows, "images": len(training.train)}))
