"""The networks of logogan_jax/networks/dcgan.py and wgan.py in PyTorch, weight by weight.

Images are float32[n, channels, h, w] and lie in memory as [n, h, w, channels], so that no layer reorders its input
and flattened features have the order that they have there. tests/test_peer.py loads the same weights into both.
"""

import itertools

import torch
import torch.nn.functional as F
from peer import DOUBLINGS, LATENT, kernel
from torch import nn


class Conv(nn.Conv2d):
    """Convolution with out = ceil(in / stride), padded as TensorFlow and Keras pad: less in front."""

    def forward(self, x):
        """[n, in, H, W] -> [n, out, h, w]; H and W are the same."""
        side, (kernel, _), (stride, _) = x.shape[-1], self.kernel_size, self.stride
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        x = F.pad(x, (0, total % 2, 0, total % 2)) if total % 2 else x
        return F.conv2d(x, self.weight, self.bias, self.stride, total // 2)


class ConvTranspose(nn.ConvTranspose2d):
    """Transposed convolution to twice the size: the transpose of `Conv` in its input."""

    def forward(self, x):
        """[n, in, h, w] -> [n, out, 2 h, 2 w]."""
        side, total = 2 * x.shape[-1], self.kernel_size[0] - 2
        return F.conv_transpose2d(x, self.weight, self.bias, 2, total // 2)[:, :, :side, :side]


class Turned(nn.Conv2d):
    """Transposed convolution to the same size: a convolution by the filter turned half round, padded more in front.

    Faster than as a transposed convolution, on a CPU at least.
    """

    def forward(self, x):
        """[n, in, h, w] -> [n, out, h, w]."""
        total = self.kernel_size[0] - 1
        x = F.pad(x, (total % 2, 0, total % 2, 0)) if total % 2 else x
        return F.conv2d(x, self.weight, self.bias, 1, total // 2)


def images(x, channels):
    """[n, 7 * 7 * channels] -> [n, channels, 7, 7], a view: the features of a pixel lie side by side."""
    return x.view(-1, 7, 7, channels).permute(0, 3, 1, 2)


def flat(x):
    """[n, channels, h, w] -> [n, h * w * channels], a view."""
    return x.permute(0, 2, 3, 1).flatten(1)


# ── networks ────────────────────────────────────────────────────────────────────────────────


class WganGenerator(nn.Module):
    """z float32[n, latent] -> float32[n, channels, size, size] in [-1, 1]; logogan_jax/networks/wgan_gp.py."""

    def __init__(self, *, size, width, kernel, latent=LATENT, channels=3):
        super().__init__()
        self.stem = nn.Linear(latent, 16 * width)
        self.project = nn.Linear(16 * width, 49 * 2 * width)
        self.project_norm = nn.BatchNorm1d(49 * 2 * width, eps=1e-3, momentum=0.01)
        self.layers = nn.ModuleList([ConvTranspose(2 * width, 2 * width, kernel, 2), Conv(2 * width, width, kernel)])
        self.layers.extend(ConvTranspose(width, width, kernel, 2) for _ in range(DOUBLINGS[size] - 1))
        self.norms = nn.ModuleList(nn.BatchNorm2d(layer.out_channels, 1e-3, 0.01) for layer in self.layers)
        self.out = Conv(width, channels, kernel)

    def forward(self, z):
        """Batch statistics, as in training."""
        x = F.leaky_relu(self.stem(z), 0.3)
        x = F.leaky_relu(self.project_norm(self.project(x)), 0.3)
        x = images(x, self.layers[0].in_channels)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = F.leaky_relu(norm(layer(x)), 0.3)
        return torch.tanh(self.out(x).float())


class WganCritic(nn.Module):
    """Images float32[n, channels, size, size] -> scores float32[n], high on reals; logogan_jax/networks/wgan_gp.py."""

    def __init__(self, *, size, width, kernel, channels=3):
        super().__init__()
        second = nn.Conv2d(width, 2 * width, kernel, 2)
        self.convs = nn.ModuleList([Conv(channels, width, kernel), second, Conv(2 * width, 2 * width, kernel, 2)])
        side = -(-((size - kernel) // 2 + 1) // 2)
        self.hidden = nn.Linear(side * side * 2 * width, 16 * width)
        self.out = nn.Linear(16 * width, 1)

    def forward(self, x):
        """Nothing in it mixes images."""
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.3)
        return self.out(F.leaky_relu(self.hidden(flat(x)), 0.3)).float().squeeze(1)


class DcganGenerator(nn.Module):
    """z float32[n, latent] -> float32[n, channels, size, size] in [-1, 1]; logogan_jax/networks/dcgan.py."""

    def __init__(self, *, size, width, kernel, dropout, latent=LATENT, channels=3):
        super().__init__()
        self.dropout = dropout
        self.stem = nn.Linear(latent, 49 * 4 * width)
        self.stem_norm = nn.BatchNorm1d(49 * 4 * width, eps=1e-3, momentum=0.1)
        widths = [4 * width, 2 * width] + [width] * (DOUBLINGS[size] - 1)
        self.ups = nn.ModuleList(Turned(a, b, kernel) for a, b in itertools.pairwise(widths))
        self.norms = nn.ModuleList(nn.BatchNorm2d(up.out_channels, 1e-3, 0.1) for up in self.ups)
        self.refine = Turned(width, width // 2, kernel)
        self.refine_norm = nn.BatchNorm2d(width // 2, 1e-3, 0.1)
        self.out = Turned(width // 2, channels, kernel)

    def forward(self, z):
        """Batch statistics and dropout, as in training."""
        x = images(F.relu(self.stem_norm(self.stem(z))), self.ups[0].in_channels)
        x = F.dropout(x, self.dropout) if self.dropout else x
        for up, norm in zip(self.ups, self.norms, strict=True):
            x = F.relu(norm(up(F.interpolate(x, scale_factor=2))))
        x = F.relu(self.refine_norm(self.refine(x)))
        return torch.tanh(self.out(x).float())


class DcganCritic(nn.Module):
    """Images float32[n, channels, size, size] -> logits float32[n]; logogan_jax/networks/dcgan.py."""

    def __init__(self, *, size, width, kernel, dropout, channels=3):
        super().__init__()
        self.dropout = dropout
        widths = [channels, width, 2 * width, 4 * width, 8 * width]
        self.convs = nn.ModuleList(Conv(a, b, kernel, 2) for a, b in itertools.pairwise(widths))
        side = -(-size // 16)
        self.out = nn.Linear(side * side * 8 * width, 1)

    def forward(self, x):
        """Dropout, as in training."""
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
            x = F.dropout(x, self.dropout) if self.dropout else x
        return self.out(flat(x)).float().squeeze(1)


def networks(model, size, *, width=64, dropout=0.4):
    """Generator and critic of "wgan_gp" or "gan"; only the latter have dropout."""
    values = {"size": size, "width": width, "kernel": kernel(model, size)}
    if model == "gan":
        return DcganGenerator(**values, dropout=dropout), DcganCritic(**values, dropout=dropout)
    return WganGenerator(**values), WganCritic(**values)
