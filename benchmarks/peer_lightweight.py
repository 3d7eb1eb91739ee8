"""Train lightweight-gan, its own package, on a CPU, and draw pictures: what equal_minutes.py runs.

    python benchmarks/peer_lightweight.py --images=DIR --out=DIR --size=64 --minutes=10,30,60

It needs `pip install lightweight-gan`, with a PyTorch and a torchvision for CPUs. The package asks for CUDA when it is
imported, and its trainer moves networks and batches there; here it is told that there is, and they stay where they are.
All else is the package's: networks, losses, augmentations, and the defaults of its command, but for those that OPTIONS
makes smaller, as they are made for GPUs. Minutes are those of the processor, all threads together. Writes
OUT/MINUTES.npy, uint8[n, size, size, 3], and OUT/about.json.
"""

import argparse
import json
import pathlib
import time

import numpy as np
import torch

# Before the import, which asserts it.
torch.cuda.is_available = lambda: True
from lightweight_gan import lightweight_gan, version  # noqa: E402

OPTIONS = {
    "disc_output_size": 1, "aug_types": ["cutout", "translation"], "lr": 2e-4,  # its command's defaults
    # Smaller than its defaults: 10 images four times a step, 512 channels, latents of 256, attention at 32 pixels.
    "batch_size": 8, "gradient_accumulate_every": 1, "fmap_max": 64, "latent_dim": 64, "attn_res_layers": [],
}  # fmt: skip
DRAWN_AT_ONCE = 64


class TorchOnCPU:
    """The module torch, whose devices are all the CPU."""

    def __getattr__(self, name):
        return getattr(torch, name)

    def device(self, _):
        """Return the CPU."""
        return torch.device("cpu")


def stay_on_cpu():
    """Let the package train where there is no GPU."""
    torch.cuda.is_available = lambda: False  # so that batches are not pinned
    torch.Tensor.cuda = torch.nn.Module.cuda = lambda self, *args, **kwargs: self
    lightweight_gan.torch = TorchOnCPU()


@torch.no_grad()
def draw(trainer, count):
    """Draw pictures uint8[count, size, size, 3] by the generator; its average begins at step 20,000."""
    trainer.GAN.eval()
    chunks = []
    for _ in range(0, count, DRAWN_AT_ONCE):
        images = trainer.GAN.G(torch.randn(DRAWN_AT_ONCE, trainer.latent_dim)).clamp(0, 1)
        chunks.append((images * 255).round().byte().permute(0, 2, 3, 1).numpy())
    return np.concatenate(chunks)[:count]


def main():
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", required=True, help="folder of PNG files to train on")
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--size", required=True, type=int, help="a power of two")
    parser.add_argument("--minutes", required=True, help="of the processor, comma-separated, rising")
    parser.add_argument("--num", type=int, default=2_048, help="pictures at each of them")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    torch.set_num_threads(1)
    stay_on_cpu()
    options = {"base_dir": str(args.out), "image_size": args.size, "num_workers": 0, "use_aim": False}
    trainer = lightweight_gan.Trainer("peer", **options, **OPTIONS)
    trainer.set_data_src(args.images)
    trainer.init_GAN()
    drawing = 0.0
    steps = {}
    for minutes in args.minutes.split(","):
        while time.process_time() - drawing < 60 * float(minutes):
            trainer.train()
        began = time.process_time()
        steps[minutes] = trainer.steps
        print(f"{minutes} minutes: {trainer.steps} steps", flush=True)
        np.save(args.out / f"{minutes}.npy", draw(trainer, args.num))
        drawing += time.process_time() - began
    versions = {"lightweight_gan": version.__version__, "torch": torch.__version__}
    (args.out / "about.json").write_text(json.dumps({"steps": steps, "versions": versions}), encoding="utf-8")


if __name__ == "__main__":
    main()
