"""What the peers of the benchmark share: their flags, and the language in which they are told to run steps.

A peer prints a line of JSON once it is warm. For every line on stdin that holds a whole number n it runs n steps, waits
for the device, and prints {"steps": n, "seconds": s}, so that others can be timed in between. The end of stdin ends it.
"""

import argparse
import json
import sys
import time

LATENT, IMAGES = 100, 1024  # length of z, real images on the device
DOUBLINGS = {28: 2, 56: 3, 112: 4}  # from 7 x 7
WARM_UP = 3  # steps, so many because torch.compile records CUDA graphs in the second


def flags(module):
    """A parser of the flags that every peer has, described by a module's docstring."""
    parser = argparse.ArgumentParser(description=module.splitlines()[0])
    parser.add_argument("--model", choices=("wgan_gp", "gan"), required=True)
    parser.add_argument("--size", type=int, choices=DOUBLINGS, required=True, help="side of the images in pixels")
    parser.add_argument("--batch", type=int, required=True, help="images per update")
    parser.add_argument("--width", type=int, default=64, help="channels of the critic's first layer")
    parser.add_argument("--critic_updates", type=int, help="for each of the generator; by default 5 or, for gan, 1")
    parser.add_argument("--precision", choices=("float32", "tf32", "bfloat16"), default="float32")
    return parser


def parsed(parser):
    """The values of the flags, `critic_updates` as well."""
    args = parser.parse_args()
    args.critic_updates = args.critic_updates or {"wgan_gp": 5, "gan": 1}[args.model]
    return args


def kernel(model, size):
    """Side of the convolution filters, as the configs have it."""
    return 6 if model == "gan" else 5 if size == 28 else 4


def serve(step, wait, **about):
    """Warm up, say so with what there is to tell about the peer, then run as many steps as one is asked for."""
    for _ in range(WARM_UP):
        step()
    wait()
    print(json.dumps({**about, "ready": True}), flush=True)
    for line in sys.stdin:
        began = time.perf_counter()
        for _ in range(int(line)):
            step()
        wait()
        print(json.dumps({"steps": int(line), "seconds": time.perf_counter() - began}), flush=True)
