"""The CUDA kernels of the RoI ops and of their gradients, run on the CPU, against the CPU ops."""

import ctypes

import pytest
import torch

import fastcv.ops  # noqa: F401  (registers torch.ops.fastcv)

OPS = ["roi_align", "roi_align_rotated", "roi_pool", "ps_roi_align", "ps_roi_pool"]
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
FORMATS = [torch.contiguous_format, torch.channels_last]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}
BINS = (2, 3)
SCALE = 0.5


def options(op, ratio):
    return {"roi_pool": (), "ps_roi_pool": (), "ps_roi_align": (ratio,)}.get(op, (ratio, True))


def pointer(t):
    return ctypes.c_void_p(t.data_ptr())


def longs(values):
    return (ctypes.c_int64 * 4)(*values)


def call(library, name, source, shape, rois, result, op, ratio, *more, bins=BINS):
    kernel = getattr(library, f"{name}_{str(source.dtype).removeprefix('torch.')}")
    wide = torch.float64 if source.dtype == torch.float64 else torch.float32
    rois = library.guard(rois.to(wide).contiguous(), "rois")
    source = library.guard(source, "the input")
    inside = library.guard(result, "the result")
    argmax = [library.guard(t, "argmax") for t in more]
    kernel(
        pointer(source),
        longs(source.stride()),
        longs(shape),
        pointer(rois),
        ctypes.c_int64(len(rois)),
        ctypes.c_double(SCALE),
        *(ctypes.c_int(n) for n in bins),
        *(ctypes.c_int(n) for n in options(op, ratio)),
        pointer(inside),
        longs(inside.stride()),
        *(pointer(t) for t in argmax),
    )
    for outside, t in zip((result, *more), (inside, *argmax), strict=True):
        outside.copy_(t)
    return result


def inputs(op, dtype, memory_format, channels, k=9):
    """A feature map and RoIs: inside, across the border, empty, outside, not finite."""
    g = torch.Generator().manual_seed(k)
    if op.startswith("ps_"):
        channels *= BINS[0] * BINS[1]
    x = torch.randn(2, channels, 9, 37, generator=g).to(dtype)
    x = x.contiguous(memory_format=memory_format)
    if op == "roi_align_rotated":
        low, high = torch.tensor([0, 0, 2, 2, -180]), torch.tensor([70, 18, 40, 16, 180])
    else:
        low, high = torch.tensor([-4, -4, 6, 6]), torch.tensor([30, 8, 80, 22])
    boxes = low + (high - low) * torch.rand(k, len(low), generator=g)
    boxes[1, 2:4] = boxes[1, :2]
    boxes[2, :4] += 500
    boxes[3, 1], boxes[4, 2] = float("nan"), float("inf")
    return x, torch.cat([torch.arange(k)[:, None] % 2, boxes], 1)


def on_the_cpu(op, x, rois, ratio):
    kernel = getattr(torch.ops.fastcv, op)
    return kernel(x, rois, SCALE, *BINS, *options(op, ratio))


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", OPS)
def test_forward_and_backward_are_the_cpus(emulated, op, dtype, memory_format):
    check(emulated(op), op, dtype, memory_format)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("op", OPS)
def test_no_race(raced, op, memory_format):
    check(raced(op), op, torch.float32, memory_format)


def check(library, op, dtype, memory_format):
    for channels, ratio in ((8, -1), (3, 2)):
        x, rois = inputs(op, dtype, memory_format, channels)
        expected = on_the_cpu(op, x, rois, ratio)
        if op == "roi_pool":
            expected, argmax = expected
            got_argmax = torch.full_like(argmax, -7)
            got = torch.full_like(expected, 7)
            call(library, op, x, x.shape, rois, got, op, ratio, got_argmax)
            assert torch.equal(got, expected) and torch.equal(got_argmax, argmax)
        else:
            got = call(library, op, x, x.shape, rois, torch.full_like(expected, 7), op, ratio)
            torch.testing.assert_close(
                got, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype], equal_nan=False
            )

        grad = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1)).to(expected)
        grad = grad.contiguous(memory_format=memory_format)
        backward = getattr(torch.ops.fastcv, f"_{op}_backward")
        if op == "roi_pool":
            expected = backward(grad, rois, argmax, SCALE, *x.shape)
            more = (argmax.contiguous(memory_format=memory_format),)
        else:
            expected = backward(grad, rois, SCALE, *BINS, *x.shape, *options(op, ratio))
            more = ()
        got = torch.full_like(expected, 7)
        call(library, f"{op}_backward", grad, x.shape, rois, got, op, ratio, *more)
        torch.testing.assert_close(got, expected, rtol=TOLERANCE[dtype], atol=4 * TOLERANCE[dtype])


@pytest.mark.parametrize("op", OPS)
def test_a_roi_of_no_image_gives_zero(emulated, op):
    x, rois = inputs(op, torch.float32, torch.contiguous_format, 2)
    expected = on_the_cpu(op, x, rois, 2)
    expected = expected[0] if op == "roi_pool" else expected
    rois[::2, 0] = torch.tensor([-1.0, 2.0, 1e30, float("nan"), float("-inf")])
    more = (torch.zeros(expected.shape, dtype=torch.int32),) if op == "roi_pool" else ()
    got = call(emulated(op), op, x, x.shape, rois, torch.full_like(expected, 7), op, 2, *more)
    assert torch.all(got[::2] == 0)
    torch.testing.assert_close(got[1::2], expected[1::2], rtol=1e-5, atol=1e-5)


def test_more_rois_than_a_block_looks_at_once(emulated):
    check_many_rois(emulated("roi_align"))


def test_no_race_from_one_look_to_the_next(raced):
    check_many_rois(raced("roi_align"))


def check_many_rois(library):
    x, rois = inputs("roi_align", torch.float32, torch.contiguous_format, 1, k=600)
    grad = torch.randn(600, 1, *BINS, generator=torch.Generator().manual_seed(2))
    args = (rois, SCALE, *BINS, *x.shape, 2, True)
    expected = torch.ops.fastcv._roi_align_backward(grad, *args)
    got = torch.full_like(expected, 7)
    call(library, "roi_align_backward", grad, x.shape, rois, got, "roi_align", 2)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


# Channels: all and some of those that a thread takes. Bins: the weights of many RoIs fit in shared
# memory, of few, of none.
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("channels", "bins"), [(300, (7, 7)), (20, (14, 5)), (3, (30, 25)), (2, (3, 200))]
)
def test_many_channels_and_many_bins(emulated, channels, bins, dtype, memory_format):
    check_roi_align(emulated("roi_align"), channels, bins, dtype, memory_format)


@pytest.mark.parametrize("memory_format", FORMATS)
def test_no_race_among_many_channels(raced, memory_format):
    check_roi_align(raced("roi_align"), 24, (7, 7), torch.float32, memory_format)


# What a RoI reads fits in shared memory for some channels at once or for few, whole or some bins at
# a time, with all rows or only those of the samples, or not at all; packs of pixels or single ones.
# The sums are those of the kernel without windows, to the last bit.
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("width", [296, 301])
@pytest.mark.parametrize(("bins", "ratio"), [((7, 7), 2), ((2, 3), -1), ((1, 1), -1), ((7, 7), 0)])
def test_windows_of_all_sizes(emulated, bins, ratio, width, dtype):
    check_windows(emulated("roi_align"), bins, ratio, width, dtype)


@pytest.mark.parametrize(("width", "bins", "ratio"), [(296, (7, 7), 2), (301, (2, 3), -1)])
def test_no_race_among_windows(raced, width, bins, ratio):
    check_windows(raced("roi_align"), bins, ratio, width, torch.float32)


def check_windows(library, bins, ratio, width, dtype):
    g = torch.Generator().manual_seed(5)
    x = torch.randn(2, 41, 64, width, generator=g).to(dtype)
    sizes = torch.tensor(
        [[3, 3], [14, 20], [100, 90], [300, 40], [400, 126], [560, 110], [580, 30]]
    )
    corner = torch.rand(len(sizes), 2, generator=g) * 16 - 8
    rois = torch.cat([torch.arange(len(sizes))[:, None] % 2, corner, corner + sizes], 1)
    expected = torch.ops.fastcv.roi_align(x, rois, SCALE, *bins, ratio, True)
    got = torch.full_like(expected, 7)
    call(library, "roi_align", x, x.shape, rois, got, "roi_align", ratio, bins=bins)
    torch.testing.assert_close(got, expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    apart = x.mT.contiguous().mT  # neighbours in a row are none in memory: no windows
    again = torch.full_like(expected, 7)
    call(library, "roi_align", apart, x.shape, rois, again, "roi_align", ratio, bins=bins)
    assert torch.equal(got, again)


def check_roi_align(library, channels, bins, dtype, memory_format):
    x, rois = inputs("roi_align", dtype, memory_format, channels, k=7)
    expected = torch.ops.fastcv.roi_align(x, rois, SCALE, *bins, 2, True)
    got = torch.full_like(expected, 7)
    call(library, "roi_align", x, x.shape, rois, got, "roi_align", 2, bins=bins)
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance)

    grad = torch.randn(expected.shape, generator=torch.Generator().manual_seed(3)).to(expected)
    grad = grad.contiguous(memory_format=memory_format)
    args = (rois, SCALE, *bins, *x.shape, 2, True)
    expected = torch.ops.fastcv._roi_align_backward(grad, *args)
    got = torch.full_like(expected, 7)
    call(library, "roi_align_backward", grad, x.shape, rois, got, "roi_align", 2, bins=bins)
    torch.testing.assert_close(got, expected, rtol=tolerance, atol=20 * tolerance)
