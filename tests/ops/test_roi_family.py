"""What all RoI ops promise alike: boxes as a list, odd boxes, strides, dtypes, errors, threads."""

import json
import math
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcv.ops import (
    PSRoIAlign,
    PSRoIPool,
    RoIAlign,
    RoIPool,
    ps_roi_align,
    ps_roi_pool,
    roi_align,
    roi_align_rotated,
    roi_pool,
)

OPS = {f.__name__: f for f in (roi_align, roi_align_rotated, roi_pool, ps_roi_align, ps_roi_pool)}
MODULES = {
    "roi_align": (RoIAlign, (0.5, 2)),
    "roi_pool": (RoIPool, (0.5,)),
    "ps_roi_align": (PSRoIAlign, (0.5, 2)),
    "ps_roi_pool": (PSRoIPool, (0.5,)),
}
DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
FORMATS = [torch.contiguous_format, torch.channels_last]
NAN, INF = float("nan"), float("inf")


@pytest.fixture(params=OPS)
def name(request):
    return request.param


def some_boxes(name, k, extent=10.0, seed=0):
    """[k, 4], or [k, 5] for rotated boxes."""
    g = torch.Generator().manual_seed(seed)
    r = torch.rand(k, 5, generator=g)
    first, second = r[:, :2] * extent * 0.7, r[:, 2:4] * extent
    if name == "roi_align_rotated":
        return torch.cat([first, second, r[:, 4:] * 360], 1)
    return torch.cat([first, first + second], 1)


def some_rois(name, k, images=2, extent=10.0):
    return torch.cat([torch.arange(k)[:, None] % images, some_boxes(name, k, extent)], 1)


def close(a, b, tolerance=1e-5):
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def test_boxes_as_a_list(device, name):
    op = OPS[name]
    x = torch.randn(3, 16, 9, 11, device=device)
    boxes = [some_boxes(name, k, seed=k).to(device) for k in (4, 0, 2)]
    images = torch.tensor([0.0] * 4 + [2.0] * 2, device=device)
    rois = torch.cat([images[:, None], torch.cat(boxes)], 1)
    assert torch.equal(op(x, boxes, 2, 0.7), op(x, rois, (2, 2), 0.7))
    assert torch.equal(op(x, tuple(boxes), [2, 2], 0.7), op(x, rois, 2, 0.7))


@pytest.mark.parametrize("name", MODULES)
def test_modules(device, name):
    x, rois = torch.randn(2, 24, 9, 11, device=device), some_rois(name, 5).to(device)
    module, options = MODULES[name]
    pool = module((2, 3), *options)
    assert torch.equal(pool(x, rois), OPS[name](x, rois, (2, 3), *options))
    assert repr(pool).startswith(f"{module.__name__}(output_size=(2, 3), spatial_scale=0.5")
    assert pool.output_size == (2, 3) and pool.spatial_scale == 0.5
    with pytest.raises(AttributeError):
        pool.anything_else  # noqa: B018


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize(
    "shape, k",
    [((2, 16, 6, 6), 0), ((0, 16, 6, 6), 0), ((2, 0, 6, 6), 3), ((2, 16, 0, 6), 3),
     ((2, 16, 6, 0), 3), ((2, 12, 0, 0), 3), ((1, 4, 1, 1), 3)],
)  # fmt: skip
def test_nothing_to_pool(device, name, shape, k, memory_format):
    x = torch.ones(shape, device=device).contiguous(memory_format=memory_format).requires_grad_()
    rois = some_rois(name, k, images=max(shape[0], 1)).to(device)
    out = OPS[name](x, rois, 2)
    channels = shape[1] // 4 if name.startswith("ps_") else shape[1]
    assert out.shape == (k, channels, 2, 2)
    out.sum().backward()
    assert x.grad.shape == x.shape
    if k == 0 or 0 in shape[2:]:
        assert torch.all(out == 0) and torch.all(x.grad == 0)


@pytest.mark.parametrize("name", ["roi_align", "roi_align_rotated", "ps_roi_align"])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("ratio", [2, -1])
def test_boxes_that_are_not_finite_give_zero(device, name, value, ratio):
    options = () if name == "ps_roi_align" else (True,)
    for channels in (4, 16):
        x = torch.ones(2, channels, 8, 8, device=device, requires_grad=True)
        for i in range(1, 6 if name == "roi_align_rotated" else 5):
            rois = some_rois(name, 1)
            rois[0, i] = value
            out = OPS[name](x, rois.to(device), 2, 1.0, ratio, *options)
            (grad,) = torch.autograd.grad(out.sum(), x)
            assert torch.all(out == 0) and torch.all(grad == 0)


coordinate = st.sampled_from(
    [0.0, -0.0, 1.0, 3.0, 3.5, 7.0, 8.0, -1.0, -4.0, 100.0, 1e9, -1e9, 1e30, -1e30, 3e38, 1e-30,
     2147483647.0, 2147483648.0, -2147483649.0, 16777217.0, INF, -INF, NAN]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    boxes=st.lists(st.tuples(*[coordinate] * 5), min_size=1, max_size=6),
    name=st.sampled_from(list(OPS)),
    size=st.sampled_from([1, 2, 7]),
    scale=st.sampled_from([1.0, 0.25, 1e10, 1e-10, -1.0]),
    ratio=st.sampled_from([-1, 1, 2]),
    last=st.booleans(),
)
def test_any_box_is_quick_and_stays_inside(boxes, name, size, scale, ratio, last):
    # The map is a part of a larger one filled with NaN: reading beside it would show.
    table = torch.tensor(boxes)
    rois = torch.cat([torch.ones(len(boxes), 1), table], 1)
    rois = rois if name == "roi_align_rotated" else rois[:, :5]
    around = torch.full((3, size * size if name.startswith("ps_") else 16, 8, 8), NAN)
    around[1] = 1.0
    if last:
        around = around.contiguous(memory_format=torch.channels_last)
    x = around.requires_grad_()
    options = () if name.endswith("pool") else (ratio,)
    out = OPS[name](x, rois, size, scale, *options)
    assert torch.isfinite(out).all()
    low = torch.finfo(torch.float32).min if name == "roi_pool" else -1e-3
    assert torch.all((out >= low) & (out <= 1.001))
    out.sum().backward()
    assert torch.isfinite(x.grad).all() and torch.all(x.grad[0] == 0) and torch.all(x.grad[2] == 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rois_dtype", DTYPES)
def test_rois_may_have_another_dtype(device, name, dtype, rois_dtype):
    x = torch.randn(2, 16, 9, 11).to(dtype).to(device)
    rois = some_rois(name, 6).to(rois_dtype).to(device)
    out = OPS[name](x, rois, 2, 0.5)
    assert out.dtype == dtype
    widened = OPS[name](x, rois.double(), 2, 0.5)
    # Boxes are widened, never narrowed below what the op computes in.
    assert torch.equal(out, widened)


@pytest.mark.parametrize("memory_format", FORMATS)
def test_any_strides(device, name, memory_format):
    x = torch.randn(2, 16, 9, 11, device=device)
    rois = some_rois(name, 6).to(device)
    expected = OPS[name](x, rois, 2, 0.7)
    wide = torch.full((4, 20, 11, 24), NAN, device=device)
    wide = wide.contiguous(memory_format=memory_format)
    view = wide[::2, 2:18, 1:10, 1:23:2]
    view.copy_(x)
    close(OPS[name](view, rois, 2, 0.7), expected)
    turned = x.transpose(2, 3).contiguous().transpose(2, 3)
    close(OPS[name](turned, rois, 2, 0.7), expected)
    one = x[:1].expand(2, 16, 9, 11)
    close(OPS[name](one, rois, 2, 0.7), OPS[name](one.contiguous(), rois, 2, 0.7))
    spread = torch.full((12, rois.shape[1] + 2), NAN, device=device)
    spread[::2, 1:-1] = rois
    assert torch.equal(OPS[name](x, spread[::2, 1:-1], 2, 0.7), expected)
    grad = torch.randn_like(expected)
    x.requires_grad_()
    out = OPS[name](x, rois, 2, 0.7)
    (a,) = torch.autograd.grad(out, x, grad, retain_graph=True)
    (b,) = torch.autograd.grad(out, x, grad.transpose(2, 3).contiguous().transpose(2, 3))
    close(a, b)
    (c,) = torch.autograd.grad(OPS[name](x, rois, 2, 0.7).sum(), x)  # an expanded gradient
    (d,) = torch.autograd.grad(OPS[name](x, rois, 2, 0.7), x, torch.ones_like(expected))
    close(c, d)


def results(name, x, rois):
    x = x.detach().requires_grad_()
    out = OPS[name](x, rois, 3, 0.7)
    (grad,) = torch.autograd.grad((out * out).sum(), x)
    return out.detach(), grad


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_deterministic_whatever_the_threads(device, name, memory_format, dtype):
    x = torch.randn(2, 18 * 2, 20, 21).to(dtype).to(device).contiguous(memory_format=memory_format)
    rois = some_rois(name, 300, extent=20.0).to(device)
    threads = torch.get_num_threads()
    every = []
    for t in (1, 2, 3, 2):
        torch.set_num_threads(t)
        every.append(results(name, x, rois))
    torch.set_num_threads(threads)
    for other in every[1:]:
        assert all(torch.equal(a, b) for a, b in zip(every[0], other, strict=True))


@pytest.mark.parametrize("memory_format", FORMATS)
def test_layouts_agree(device, name, memory_format):
    # Each layout has a way of its own through memory; few and many channels too.
    for channels in (81, 144, 324) if name.startswith("ps_") else (9, 16, 36, 48):
        x = torch.randn(2, channels, 14, 15, device=device)
        rois = some_rois(name, 50, extent=15.0).to(device)
        expected = results(name, x, rois)
        got = results(name, x.contiguous(memory_format=memory_format), rois)
        for a, b in zip(got, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


ISA_SCRIPT = """
import json, sys, torch, fastcv.ops as ops
out = []
for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
    for memory_format in (torch.contiguous_format, torch.channels_last):
        for channels in (4, 16, 52):
            g = torch.Generator().manual_seed(channels)
            x = torch.randn(2, channels, 9, 10, generator=g).to(dtype)
            x = x.contiguous(memory_format=memory_format).requires_grad_()
            corner, size = torch.rand(30, 2, generator=g) * 9, torch.rand(30, 3, generator=g) * 9
            image = (torch.arange(30) % 2)[:, None]
            rois = torch.cat([image, corner, corner + size[:, :2]], 1)
            turned = torch.cat([image, corner, size * torch.tensor([1, 1, 40])], 1)
            for y in (
                ops.roi_align(x, rois, 2, 1.0, 2, True),
                ops.roi_align(x, rois, 2),
                ops.roi_align_rotated(x, turned, 2),
                ops.roi_pool(x, rois, 2),
                ops.ps_roi_align(x, rois, 2),
                ops.ps_roi_pool(x, rois, 2),
            ):
                weight = torch.linspace(-1, 1, y.numel()).view(y.shape).to(dtype)
                (grad,) = torch.autograd.grad(y, x, weight)
                out += [y.double().flatten()[::7].tolist(), grad.double().flatten()[::7].tolist()]
json.dump(out, sys.stdout)
"""


def test_every_instruction_set():
    found = {}
    for isa in ("portable", "avx2", "avx512"):
        run = subprocess.run(
            [sys.executable, "-c", ISA_SCRIPT],
            env={**os.environ, "FASTCV_ISA": isa},
            capture_output=True,
            text=True,
            check=True,
        )
        found[isa] = json.loads(run.stdout)
    for isa in ("avx2", "avx512"):
        of_a_dtype = len(found[isa]) // 4
        for i, (a, b) in enumerate(zip(found[isa], found["portable"], strict=True)):
            error = (1e-12, 1e-4, 2e-2, 1e-1)[i // of_a_dtype]
            close(torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64), error)


def test_autocast_keeps_the_dtype_of_the_features(name):
    x = torch.randn(2, 16, 9, 11).bfloat16()
    rois = some_rois(name, 6)
    expected = OPS[name](x, rois, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = OPS[name](x, rois, 2)
        assert OPS[name](x.float(), rois, 2).dtype == torch.float32
    assert got.dtype == torch.bfloat16 and torch.equal(got, expected)


@pytest.mark.parametrize("memory_format", FORMATS)
def test_compiles_whole(device, name, memory_format):
    x = torch.randn(2, 16, 9, 11, device=device).contiguous(memory_format=memory_format)
    boxes = [some_boxes(name, k, seed=k).to(device) for k in (4, 3)]

    def f(x, boxes):
        return OPS[name](x * 2, boxes, 2, 0.7) * 3

    torch.compiler.reset()  # every case compiles this function anew, and there is a limit to that
    compiled = torch.compile(f, fullgraph=True, backend="aot_eager")
    a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
    got, expected = compiled(a, boxes), f(b, boxes)
    assert torch.equal(got, expected) and got.stride() == expected.stride()
    got.square().sum().backward()
    expected.square().sum().backward()
    assert torch.equal(a.grad, b.grad)


@pytest.mark.parametrize("name", MODULES)
def test_modules_compile_and_export(device, name):
    x, rois = torch.randn(2, 16, 9, 11, device=device), some_rois(name, 5).to(device)
    module, options = MODULES[name]
    pool = module(2, *options)
    compiled = torch.compile(pool, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x, rois), pool(x, rois))
    exported = torch.export.export(pool, (x, rois)).module()
    assert torch.equal(exported(x, rois), pool(x, rois))


def test_no_gradient_of_the_boxes(device, name):
    x = torch.randn(2, 16, 9, 11, device=device)
    rois = some_rois(name, 5).to(device).requires_grad_()
    out = OPS[name](x.requires_grad_(), rois, 2)
    out.sum().backward()
    assert rois.grad is None and x.grad is not None


X = torch.zeros(2, 16, 4, 4)


@pytest.mark.parametrize(
    "x, rois, size, scale, message",
    [
        (X[0], 2, 2, 1.0, r"input must have 4 dimensions, got shape \[16, 4, 4\]"),
        (X, 3, 2, 1.0, r"rois must have shape \[K, {columns}\], got \[2, 3\]"),
        (X.long(), 2, 2, 1.0, r"input must be float64, float32, float16 or bfloat16, got Long"),
        (X, 2, 0, 1.0, r"output_size must be positive, got \(0, 0\)"),
        (X, 2, (2, -1), 1.0, r"output_size must be positive, got \(2, -1\)"),
        (X, 2, 65536, 1.0, r"output_size must have fewer than 2\^24 bins"),
        (X, 2, 2, NAN, r"spatial_scale must be a finite number, got nan"),
        (X, 2, 2, INF, r"spatial_scale must be a finite number, got inf"),
    ],
)
def test_refuses(device, name, x, rois, size, scale, message):
    columns = 6 if name == "roi_align_rotated" else 5
    rois = torch.zeros(2, 3) if rois == 3 else torch.zeros(2, columns)
    message = f"{name}: " + message.replace("{columns}", str(columns))
    with pytest.raises(RuntimeError, match=message):
        OPS[name](x.to(device), rois.to(device), size, scale)
    if not x.is_floating_point():
        with pytest.raises(RuntimeError, match=f"{name}: rois must be float64.*got Int"):
            OPS[name](X.to(device), rois.to(device).int(), size, scale)


@pytest.mark.parametrize("image", [2.0, -1.0, NAN, INF, 1e30])
def test_refuses_an_image_that_is_not_in_the_batch(name, image):
    rois = some_rois(name, 4)
    rois[3, 0] = image
    message = rf"{name}: rois\[3, 0\] must be the index of an image in a batch of 2, got"
    with pytest.raises(RuntimeError, match=message):
        OPS[name](X, rois, 2)


@pytest.mark.cuda
@pytest.mark.parametrize("image", [2.0, -1.0, NAN, INF, 1e30])
def test_gives_zero_for_an_image_that_is_not_in_the_batch_on_cuda(name, image):
    rois = some_rois(name, 4).cuda()
    rois[3, 0] = image
    x = torch.ones(2, 16, 8, 8, device="cuda", requires_grad=True)
    out = OPS[name](x, rois, 2)
    out.sum().backward()
    assert torch.all(out[3] == 0) and torch.isfinite(x.grad).all()
    assert torch.equal(out[:3], OPS[name](x, rois[:3], 2))


@pytest.mark.cuda
def test_refuses_mixed_devices(name):
    with pytest.raises(RuntimeError, match="input and rois must be on the same device"):
        OPS[name](X.cuda(), some_rois(name, 4), 2)


def test_refuses_boxes_of_the_wrong_kind(name):
    sides = 5 if name == "roi_align_rotated" else 4
    with pytest.raises(TypeError, match=f"{name}: boxes must be a tensor"):
        OPS[name](X, "boxes", 2)
    with pytest.raises(TypeError, match=f"{name}: boxes must be a tensor"):
        OPS[name](X, [[0.0] * sides], 2)
    with pytest.raises(ValueError, match=rf"{name}: boxes\[1\] must have shape \[L, {sides}\]"):
        OPS[name](X, [torch.zeros(2, sides), torch.zeros(2, 3)], 2)
    with pytest.raises(ValueError, match=f"{name}: boxes must hold a tensor for each image"):
        OPS[name](X, [], 2)
    with pytest.raises(ValueError, match=f"{name}: output_size must be an int or"):
        OPS[name](X, [torch.zeros(2, sides)] * 2, (1, 2, 3))


def test_a_list_of_too_few_or_many_images(name):
    sides = 5 if name == "roi_align_rotated" else 4
    boxes = torch.ones(2, sides)
    assert len(OPS[name](X, [boxes], 2)) == 2  # the batch's other images have none
    with pytest.raises(RuntimeError, match="index of an image in a batch of 2, got 2"):
        OPS[name](X, [boxes] * 3, 2)


def test_constant_maps_stay_constant(device, name):
    x = torch.full((1, 16, 12, 12), math.pi, device=device)
    boxes = torch.tensor([[2.0, 2.0, 9.0, 9.0]])
    if name == "roi_align_rotated":
        boxes = torch.tensor([[6.0, 6.0, 5.0, 5.0, 33.0]])
    out = OPS[name](x, [boxes.to(device)], 4)
    torch.testing.assert_close(out, torch.full_like(out, math.pi))
