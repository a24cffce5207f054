"""The CUDA kernels of conv_transpose2d and atrous_separable_conv2d, run on the CPU, against the
CPU ops."""

import ctypes
import itertools

import pytest
import torch

from fastcv.ops import atrous_separable_conv2d, conv_transpose2d

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
FORMATS = [torch.contiguous_format, torch.channels_last]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}

# channels, output channels, groups, kernel, stride, padding
NO_OVERLAP = [(24, 33, 1, (2, 2), (2, 2), (0, 0)), (6, 4, 2, (3, 1), (3, 1), (0, 0))]
DEPTHWISE = [
    (3, 3, 3, (4, 4), (2, 2), (1, 1)),
    (33, 33, 33, (5, 16), (3, 8), (1, 4)),
    (24, 24, 24, (4, 4), (2, 2), (1, 1)),
]
# The same for half precision's kernel, with height and width: two steps in depth and blocks of
# several tiles, everything by 16 bytes; more weight than is kept in shared memory, rows of 6.
HALF_NO_OVERLAP = [
    ((72, 8, 1, (2, 2), (2, 2), (0, 0)), (16, 20)),
    ((280, 10, 1, (2, 2), (2, 2), (0, 0)), (4, 6)),
]
# channels, output channels, kernel, stride, padding, dilation, activation
SEPARABLE = [
    (40, 136, (3, 3), (1, 1), (2, 2), (2, 2), "relu"),
    (5, 3, (2, 3), (2, 1), (0, 3), (1, 3), None),
]


def longs(values):
    values = list(values)
    return (ctypes.c_int64 * len(values))(*values)


def call(library, name, tensors, output, sizes, flag):
    """Tensors, in the kernel's order; input and output with their strides behind them."""
    kernel = getattr(library, f"{name}_{str(output.dtype).removeprefix('torch.')}")
    inside = library.guard(output, "the output")
    arguments = []
    for i, t in enumerate(tensors):
        t = None if t is None else library.guard(t, f"tensor {i}")
        arguments.append(None if t is None else ctypes.c_void_p(t.data_ptr()))
        if i == 0:
            arguments.append(longs(t.stride()))
    kernel(
        *arguments,
        ctypes.c_void_p(inside.data_ptr()),
        longs(inside.stride()),
        longs(sizes),
        ctypes.c_int(flag),
    )
    return inside.clone()


def random(*shape, dtype, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g).to(dtype)


def check_transposed(library, case, dtype, memory_format, bias=True, size=(5, 9)):
    c, d, groups, kernel, stride, padding = case
    x = random(2, c, *size, dtype=dtype).contiguous(memory_format=memory_format)
    weight = (random(c, d // groups, *kernel, dtype=dtype, seed=1) / c**0.5).to(dtype)
    bias = random(d, dtype=dtype, seed=2) if bias else None
    expected = conv_transpose2d(x, weight, bias, stride, padding, 0, groups)
    last = memory_format == torch.channels_last
    if groups < c:
        name = "no_overlap"
        w = weight.unflatten(0, (groups, -1)).permute(0, 2, 3, 4, 1)
    else:
        name, w = "depthwise", weight.permute(2, 3, 1, 0) if last else weight
    sizes = (*x.shape, *expected.shape[1:], groups, *kernel, *stride, *padding)
    got = call(library, name, (x, w.contiguous(), bias), torch.full_like(expected, 7), sizes, last)
    close = TOLERANCE[dtype]
    torch.testing.assert_close(got, expected, rtol=close, atol=close)


# Without overlap, channels_last is cuDNN's.
TRANSPOSED = [*((c, FORMATS[0]) for c in NO_OVERLAP), *itertools.product(DEPTHWISE, FORMATS)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("case", "memory_format"), TRANSPOSED)
def test_conv_transpose2d_is_the_cpus(emulated, case, dtype, memory_format):
    check_transposed(emulated("conv_transpose2d"), case, dtype, memory_format)


@pytest.mark.parametrize("case", HALF_NO_OVERLAP)
def test_conv_transpose2d_in_steps_and_tiles(raced, case):
    case, size = case
    check_transposed(raced("conv_transpose2d"), case, torch.float16, FORMATS[0], size=size)


def test_conv_transpose2d_without_bias(emulated):
    for case in (NO_OVERLAP[0], DEPTHWISE[0]):
        check_transposed(
            emulated("conv_transpose2d"), case, torch.float32, torch.contiguous_format, bias=False
        )


@pytest.mark.parametrize(
    ("case", "memory_format"), [(NO_OVERLAP[0], FORMATS[0]), *((DEPTHWISE[0], f) for f in FORMATS)]
)
def test_conv_transpose2d_has_no_race(raced, case, memory_format):
    check_transposed(raced("conv_transpose2d"), case, torch.float16, memory_format)


def check_separable(library, case, dtype, memory_format, bias=True, size=(7, 9)):
    c, d, kernel, stride, padding, dilation, activation = case
    x = random(2, c, *size, dtype=dtype).contiguous(memory_format=memory_format)
    depthwise = random(c, 1, *kernel, dtype=dtype, seed=1)
    pointwise = (random(d, c, 1, 1, dtype=dtype, seed=2) / c).to(dtype)
    biases = [random(n, dtype=dtype, seed=n) if bias else None for n in (c, d)]
    expected = atrous_separable_conv2d(
        x, depthwise, pointwise, *biases, stride, padding, dilation, activation
    )
    tensors = (x, depthwise.permute(2, 3, 1, 0).contiguous(), biases[0], pointwise, biases[1])
    sizes = (*x.shape, *expected.shape[1:], *kernel, *stride, *padding, *dilation)
    got = call(
        library, "separable", tensors, torch.full_like(expected, 7), sizes, activation is not None
    )
    close = TOLERANCE[dtype]
    torch.testing.assert_close(got, expected, rtol=close, atol=close)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", SEPARABLE)
def test_atrous_separable_conv2d_is_the_cpus(emulated, case, dtype, memory_format):
    check_separable(emulated("atrous_separable_conv2d"), case, dtype, memory_format)


def test_atrous_separable_conv2d_without_bias(emulated):
    library = emulated("atrous_separable_conv2d")
    check_separable(library, SEPARABLE[1], torch.float32, torch.contiguous_format, bias=False)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_atrous_separable_conv2d_has_no_race(raced, dtype, memory_format):
    check_separable(raced("atrous_separable_conv2d"), SEPARABLE[0], dtype, memory_format)


@pytest.mark.parametrize("size", [(16, 25), (2, 3)])  # several tiles of a block; less than one
def test_atrous_separable_conv2d_in_tiles(raced, size):
    library = raced("atrous_separable_conv2d")
    case = (72, 136, (3, 3), (1, 1), (3, 3), (3, 3), "relu")
    check_separable(library, case, torch.float16, torch.channels_last, size=size)
