"""The CUDA kernels of deform_conv2d and of its gradients, run on the CPU, against the CPU op."""

import ctypes

import pytest
import torch

from fastcv.ops import deform_conv2d

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
FORMATS = [torch.contiguous_format, torch.channels_last]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 4e-2}

# channels, output channels, groups, offset groups, kernel, stride, padding, dilation
CASES = {
    "plain": (40, 9, 1, 1, (1, 2), (1, 1), (0, 1), (1, 1)),
    "groups": (12, 4, 2, 3, (2, 1), (2, 1), (1, 2), (1, 2)),
    "packs": (32, 6, 2, 2, (1, 2), (1, 1), (0, 0), (1, 1)),
}


class Shape(ctypes.Structure):
    _fields_ = [(n, ctypes.c_int64) for n in ("batch", "channels", "out_channels")] + [
        (n, ctypes.c_int) for n in ("groups", "offset_groups")
    ] + [
        (f"{n}_{axis}", ctypes.c_int)
        for n in ("", "out", "kernel", "stride", "padding", "dilation")
        for axis in ("height", "width")
    ]  # fmt: skip


class Window(ctypes.Structure):
    _fields_ = [
        ("image", ctypes.c_int64), ("images", ctypes.c_int64), ("first", ctypes.c_int),
        ("count", ctypes.c_int),
    ]  # fmt: skip


def inputs(name, dtype, memory_format, size=(5, 8)):
    """Shape, tensors (input, offset, weight, bias, mask) and geometry of a case."""
    channels, outs, groups, offset_groups, kernel, *geometry = CASES[name]
    g = torch.Generator().manual_seed(len(name))
    x = torch.randn(2, channels, *size, generator=g)
    weight = torch.randn(outs, channels // groups, *kernel, generator=g)
    out = torch.nn.functional.conv2d(x, weight, None, *geometry, groups).shape[2:]
    taps = kernel[0] * kernel[1]
    offset = torch.randn(2, offset_groups * 2 * taps, *out, generator=g) * 2
    # Whole and halves, exact in every dtype; and positions that are none.
    offset = (offset * 2).round() / 2
    offset[0, 0, 0, :3] = torch.tensor([float("nan"), float("inf"), -1e4])
    mask = torch.rand(2, offset_groups * taps, *out, generator=g)
    tensors = [t.to(dtype) for t in (x, offset, weight, torch.randn(outs, generator=g), mask)]
    for i in (0, 1, 4):
        tensors[i] = tensors[i].contiguous(memory_format=memory_format)
    shape = Shape(2, channels, outs, groups, offset_groups, *size, *out, *kernel)
    for field, pair in zip(("stride", "padding", "dilation"), geometry, strict=True):
        setattr(shape, f"{field}_height", pair[0])
        setattr(shape, f"{field}_width", pair[1])
    return shape, tensors, geometry


class Kernels:
    """The library's functions for one dtype, every tensor under guard."""

    def __init__(self, library, shape, dtype):
        self.library, self.shape = library, ctypes.byref(shape)
        self.suffix = str(dtype).removeprefix("torch.")

    def call(self, name, *arguments):
        getattr(self.library, f"{name}_{self.suffix}")(self.shape, *arguments)

    def guard(self, tensor, name):
        return self.library.guard(tensor, name)


def pointer(t):
    return ctypes.c_void_p(0 if t is None else t.data_ptr())


def longs(values):
    return (ctypes.c_int64 * len(values))(*values)


def pixels(t):
    """A dense image: its data and the strides of an image, a pixel and a channel."""
    return pointer(t), longs((t.stride(0), t.stride(3), t.stride(1)))


def positions(offset, mask):
    strides = (0, 0, 0, 0) if mask is None else mask.stride()
    return pointer(offset), longs(offset.stride()), pointer(mask), longs(strides)


def windows(out_pixels):
    """Both images at once, then the first and the second half of the pixels of each."""
    half = out_pixels // 2
    return [(0, 2, 0, half), *((n, 1, half, out_pixels - half) for n in (0, 1))]


def rows_of(images, window):
    """[images, count, channels] of a window, as float64."""
    n, k, first, count = window
    return images[n : n + k].flatten(2)[..., first : first + count].transpose(1, 2).double()


def weights(weight, groups):
    """[groups, output channels, taps and channels]."""
    return weight.permute(0, 2, 3, 1).reshape(groups, weight.shape[0] // groups, -1).double()


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_forward_is_the_cpus(emulated, name, dtype, memory_format):
    check_forward(emulated("deform_conv2d"), name, dtype, memory_format)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("memory_format", FORMATS)
def test_no_race_forward(raced, memory_format, dtype):
    check_forward(raced("deform_conv2d"), "packs", dtype, memory_format)


def check_forward(library, name, dtype, memory_format):
    shape, (x, offset, weight, _, mask), geometry = inputs(name, dtype, memory_format)
    kernels = Kernels(library, shape, dtype)
    x, offset, mask = (kernels.guard(t, "an input") for t in (x, offset, mask))
    for factors in (None, mask):
        expected = deform_conv2d(x, offset, weight, None, *geometry, factors)
        for window in windows(shape.out_height * shape.out_width):
            columns = columns_of(kernels, window, x, offset, factors, weight)
            rows = torch.einsum("ipgk,gok->ipgo", columns.double(), weights(weight, shape.groups))
            error = TOLERANCE[dtype]
            torch.testing.assert_close(
                rows.flatten(2), rows_of(expected, window), rtol=error, atol=10 * error
            )


def columns_of(kernels, window, x, offset, mask, weight):
    """[images, count, groups, taps and channels]."""
    n, k, _, count = window
    groups = x.shape[1] // weight.shape[1]
    columns = torch.full((k, count, groups, weight[0].numel()), 7, dtype=x.dtype)
    columns = kernels.guard(columns, "columns")
    here = ctypes.byref(Window(*window))
    kernels.call("deform_columns", here, *pixels(x[n:]), *positions(offset, mask), pointer(columns))
    return columns


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["groups", "packs"])
def test_backward_is_the_cpus(emulated, name, dtype, memory_format):
    check_backward(emulated("deform_conv2d"), name, dtype, memory_format)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("name", ["groups", "packs"])
def test_no_race_backward(raced, name, memory_format):
    check_backward(raced("deform_conv2d"), name, torch.float32, memory_format)


def check_backward(library, name, dtype, memory_format):
    shape, (x, offset, weight, _, mask), geometry = inputs(name, dtype, memory_format)
    kernels = Kernels(library, shape, dtype)
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    grad = torch.randn(2, shape.out_channels, shape.out_height, shape.out_width).to(dtype)
    expected = torch.ops.fastcv._deform_conv2d_backward(
        grad, x, offset, weight, mask, *geometry, True, True, True
    )

    x, offset, mask = (kernels.guard(t, "an input") for t in (x, offset, mask))
    grad_offset = kernels.guard(torch.full(offset.shape, 7, dtype=dtype), "grad_offset")
    grad_mask = kernels.guard(torch.full(mask.shape, 7, dtype=dtype), "grad_mask")
    sums = {
        ordered: kernels.guard(torch.zeros(x.shape, dtype=wide).contiguous(
            memory_format=memory_format), "grad_input")
        for ordered in (False, True)
    }  # fmt: skip
    for window in windows(shape.out_height * shape.out_width):
        n, k, _, count = window
        here = ctypes.byref(Window(*window))
        of_output = rows_of(grad, window).unflatten(2, (shape.groups, -1))
        columns = torch.einsum("gok,ipgo->ipgk", weights(weight, shape.groups), of_output)
        columns = kernels.guard(columns.to(dtype).contiguous(), "columns")
        samples = kernels.guard(
            torch.empty(k * count * shape.offset_groups * weight[0, 0].numel(),
                        4 + wide.itemsize, dtype=torch.int32), "samples")  # fmt: skip
        to = {o: (pointer(t[n:]), longs((t.stride(0), t.stride(3), t.stride(1))))
              for o, t in sums.items()}  # fmt: skip
        kernels.call(
            "deform_ordered_scatter", here, *positions(offset, mask), pointer(samples),
            pointer(columns), *to[True],
        )  # fmt: skip
        kernels.call(
            "deform_gradients", here, *pixels(x[n:]), *positions(offset, mask), pointer(columns),
            ctypes.c_int(True), *to[False], pointer(grad_offset), pointer(grad_mask),
        )  # fmt: skip
        # They are now what the samples read.
        assert torch.equal(columns, columns_of(kernels, window, x, offset, mask, weight))
    error = TOLERANCE[dtype]
    got = [(sums[False], 0), (sums[True], 0), (grad_offset, 1), (grad_mask, 3)]
    for values, i in got:
        torch.testing.assert_close(
            values.double(), expected[i].double(), rtol=error, atol=20 * error
        )
