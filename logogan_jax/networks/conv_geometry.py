"""The static shape of a convolution: sizes, stride and padding."""

from typing import NamedTuple

from logogan_jax.networks.image_sizes import Size

NHWC = ("NHWC", "HWIO", "NHWC")  # the layouts of images, filters and results, as jax.lax names them


# Of numbers alone, so that it can be hashed: conv.py gives it to jit as a static argument.
class Geometry(NamedTuple):
    """One convolution with a square filter.

    Attributes:
      size: Height and width of the input.
      kernel: Side of the filter.
      stride: Stride along both axes.
      pad_before: Padding above and on the left.
      out_size: Height and width of the result.
    """

    size: Size
    kernel: int
    stride: int
    pad_before: tuple[int, int]
    out_size: Size

    @property
    def padding(self) -> list[tuple[int, int]]:
        """(before, after) for each axis; after is negative where a valid convolution leaves pixels unread."""
        read = [(out - 1) * self.stride + self.kernel for out in self.out_size]
        sides = zip(self.pad_before, read, self.size, strict=True)
        return [(before, end - size - before) for before, end, size in sides]

    @property
    def transposed_padding(self) -> list[tuple[int, int]]:
        """The padding of the convolution with the turned filter that is the transpose of this one."""
        return [(self.kernel - 1 - before, self.kernel - 1 - after) for before, after in self.padding]

    def transpose(self) -> "Geometry":
        """Geometry of the convolution whose transpose this one is; the stride must be one."""
        assert self.stride == 1, self
        top, left = (self.kernel - 1 - before for before in self.pad_before)
        return Geometry(self.out_size, self.kernel, 1, (top, left), self.size)


def same(size: Size, kernel: int, stride: int) -> Geometry:
    """Geometry with out_size = ceil(size / stride), padded as TensorFlow and Keras pad: less in front."""
    height, width = (-(-side // stride) for side in size)
    top, left = (
        # Not below 0: a filter smaller than its stride leaves pixels unread.
        max((out - 1) * stride + kernel - side, 0) // 2
        for out, side in zip((height, width), size, strict=True)
    )
    return Geometry((size[0], size[1]), kernel, stride, (top, left), (height, width))


def valid(size: Size, kernel: int, stride: int) -> Geometry:
    """Geometry without padding."""
    height, width = ((side - kernel) // stride + 1 for side in size)
    return Geometry((size[0], size[1]), kernel, stride, (0, 0), (height, width))
