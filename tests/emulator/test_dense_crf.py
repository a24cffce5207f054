"""The CUDA kernels of dense_crf, run on the CPU, against the CPU op.

What the CUDA launcher leaves to torch (sorting, softmax) is torch's here too.
"""

import ctypes

import pytest
import torch

import fastcv.ops  # noqa: F401  (registers torch.ops.fastcv)

SPLAT_CHUNK = 64  # entries: splat_chunk in dense_crf_kernel.h
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}


class Lattice:
    """One kernel's lattice by the emulated kernels, in the launcher's steps."""

    def __init__(self, library, image, sxy, srgb):
        self.library, self.dtype = library, image.dtype
        channels, height, width = image.shape
        self.corners, self.pixels = channels + 3, height * width
        count = self.pixels * self.corners
        keys = self.new(count, torch.int64, "keys")
        self.weight = self.new(count, image.dtype, "weight")
        source = library.guard(image, "image") if channels else image
        self.call("points", self.corners - 1, source, height, width, sxy, srgb, keys,
                  self.weight)  # fmt: skip
        ordered, order = keys.sort(stable=True)
        vertices, number, counts = ordered.unique_consecutive(
            return_inverse=True, return_counts=True
        )
        self.vertices = len(vertices)
        self.order = library.guard(order.int(), "order")
        self.owner = library.guard(number.int(), "owner")
        self.vertex = library.guard(torch.empty(count, dtype=torch.int32), "vertex")
        self.vertex[order] = self.owner
        begin = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        self.begin = library.guard(begin, "begin")
        self.neighbour = self.new(self.corners * self.vertices * 2, torch.int32, "neighbour")
        library.lattice_neighbours(*map(as_c, (self.corners - 1, library.guard(vertices, "keys"),
                                               self.vertices, self.neighbour)))  # fmt: skip
        sums = self.filter(torch.ones(self.pixels, 1, dtype=self.dtype))
        self.weight.view(self.pixels, -1).mul_(sums.rsqrt())

    def new(self, count, dtype, name):
        return self.library.guard(torch.full((count,), -1, dtype=dtype), name)

    def call(self, step, *arguments):
        name = str(self.dtype).removeprefix("torch.")
        getattr(self.library, f"lattice_{step}_{name}")(*map(as_c, arguments))

    def filter(self, labels):
        channels, count = labels.shape[1], len(self.order)
        values, other, parts = (
            self.library.guard(torch.full((rows, channels), torch.nan, dtype=self.dtype), name)
            for rows, name in (
                (self.vertices, "values"),
                (self.vertices, "other"),
                (-(-count // SPLAT_CHUNK), "parts"),
            )
        )
        labels = self.library.guard(labels, "labels")
        out = self.library.guard(torch.zeros_like(labels), "out")
        self.call("splat", self.begin, self.order, self.owner, self.weight, self.corners, count,
                  self.vertices, labels, channels, parts, values)  # fmt: skip
        for axis in self.neighbour.view(self.corners, -1):
            self.call("blur", axis, values, self.vertices, channels, other)
            values, other = other, values
        self.call("slice", self.vertex, self.weight, self.corners, values, self.pixels, channels,
                  1.0, out, out)  # fmt: skip
        return out


def as_c(value):
    if isinstance(value, torch.Tensor):
        return ctypes.c_void_p(value.data_ptr())
    return ctypes.c_double(value) if isinstance(value, float) else ctypes.c_int64(value)


def check(library, dtype, channels, labels, size=(7, 9)):
    g = torch.Generator().manual_seed(labels)
    image = torch.rand(channels, *size, generator=g).to(dtype) * 255
    unary = torch.rand(labels, *size, generator=g).to(dtype) * 3
    gaussian = Lattice(library, image[:0], 1.5, 1.0)
    bilateral = Lattice(library, image, 4.0, 40.0)
    energy = unary.flatten(1).T.contiguous()
    q = (-energy).softmax(1)
    for _ in range(2):
        q = (-energy + 3 * gaussian.filter(q) + 5 * bilateral.filter(q)).softmax(1)
    expected = torch.ops.fastcv.dense_crf(
        unary[None], image[None], None, 2, 1.5, 3.0, 4.0, 40.0, 5.0
    )
    close = TOLERANCE[dtype]
    torch.testing.assert_close(q.T.reshape(unary.shape), expected[0], rtol=close, atol=close)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("channels", "labels"), [(3, 4), (1, 35), (4, 2)])
def test_matches_the_cpu(emulated, dtype, channels, labels):
    check(emulated("dense_crf"), dtype, channels, labels)


def test_a_vertex_of_many_pixels(emulated):
    library = emulated("dense_crf")
    plain = torch.full((3, 20, 20), 128.0, dtype=torch.float64)
    lattice = Lattice(library, plain, 200.0, 13.0)
    assert lattice.vertices < 20 and len(lattice.order) > 20 * SPLAT_CHUNK
    labels = torch.rand(400, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    got = lattice.filter(labels)
    # All pixels are as good as one: each gets the mean of all.
    expected = labels.mean(0).expand(400, 3)
    torch.testing.assert_close(got, expected, rtol=0.02, atol=0)


def test_no_race(raced):
    check(raced("dense_crf"), torch.float32, 3, 3, size=(5, 6))
