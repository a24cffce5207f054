"""On a GPU (`make gpu`): ours against its peer and against what the GPU can do at best."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from bench_correlation import SIZES as CORRELATED
from bench_correlation import by_shifts
from bench_cosine_topk import SIZES as SEARCHED
from bench_cosine_topk import by_topk, rows
from bench_fast_nms import torch_fast_nms
from bench_flow_warp import by_grid_sample
from bench_heatmaps import SIDE, SIGMA, points, torch_decode, torch_encode
from bench_mel_spectrogram import SIZES as HEARD
from bench_mel_spectrogram import bands, by_steps, sound
from bench_panoptic_counts import SIZES as COUNTED
from bench_panoptic_counts import by_torch_unique, maps
from bench_paste_masks import SIZE, masks_and_boxes, torchvisions
from bench_proto_masks import SIZE as PROTO_SIZE
from bench_proto_masks import instances, torch_chain
from bench_rotated import rotated_boxes, torch_nms
from bench_soft_nms import boxes_and_scores, torch_soft_nms
from bench_vq_codes import SIZES as QUANTISED
from bench_vq_codes import by_cdist, frames_and_codes
from cuda_timing import name_of
from torch.nn import functional as F

import fastcv.ops as ops

torchvision = pytest.importorskip("torchvision")
pytestmark = pytest.mark.cuda

CHANNELS_LAST, NCHW = torch.channels_last, torch.contiguous_format


def order_of(memory_format: torch.memory_format) -> str:
    return "channels_last" if memory_format == CHANNELS_LAST else "NCHW"


def random(*shape: int, dtype: torch.dtype = torch.float32, fmt: Any = NCHW) -> torch.Tensor:
    x = torch.randn(shape, device="cuda").to(dtype)
    return x.contiguous(memory_format=fmt) if x.ndim == 4 else x


def test_floors(benchmark, floors):
    benchmark.pedantic(lambda: None, rounds=1)
    benchmark.extra_info.update(
        op="floor",
        gb_per_s=round(floors.bytes_per_ms / 1e6, 1),
        tflop_per_s={k: round(v / 1e9, 1) for k, v in floors.flops_per_ms.items()},
    )


def boxes_on_an_image(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    centre = torch.rand(n, 2, device="cuda") * torch.tensor([1333.0, 800.0], device="cuda")
    size = 8 + 200 * torch.rand(n, 2, device="cuda")
    boxes = torch.cat([centre - size / 2, centre + size / 2], 1)
    return boxes, torch.rand(n, device="cuda")


@pytest.mark.parametrize("n, target", [(1000, 2), (10_000, 3), (100_000, 10)])
def test_nms(race, n, target):
    race(
        "nms",
        f"n={n}",
        lambda: boxes_on_an_image(n),
        lambda boxes, scores: ops.nms(boxes, scores, 0.7),
        lambda boxes, scores: torchvision.ops.nms(boxes, scores, 0.7),
        target=target,
        waits=True,
    )


def test_a_million_boxes(race):
    """Theirs cannot: its mask would have 125 GB."""

    def spread():
        boxes, scores = boxes_on_an_image(1_000_000)
        return boxes + torch.rand(1_000_000, 1, device="cuda") * 1e5, scores

    race(
        "nms",
        "n=1000000, spread",
        spread,
        lambda boxes, scores: ops.nms(boxes, scores, 0.7),
        lambda _, scores: scores.sort(),
        peer_name="torch.sort of the scores",
        waits=True,
    )


def test_batched_nms(race):
    def make():
        return *boxes_on_an_image(20_000), torch.arange(20_000, device="cuda") % 80

    race(
        "batched_nms",
        "20000 boxes, 80 classes",
        make,
        lambda *a: ops.batched_nms(*a, 0.5),
        lambda *a: torchvision.ops.batched_nms(*a, 0.5),
        target=3,
        waits=True,
    )


def test_soft_nms(race):
    def make():
        return tuple(t.cuda() for t in boxes_and_scores(1000))

    race(
        "soft_nms",
        "linear, n=1000",
        make,
        lambda boxes, scores: ops.soft_nms(boxes, scores, "linear"),
        lambda boxes, scores: torch_soft_nms(boxes, scores, "linear"),
        peer_name="vectorised torch",
        target=3,
        waits=True,
    )


def test_fast_nms(race):
    race(
        "fast_nms",
        "80 classes, 200 boxes",
        lambda: (boxes_on_an_image(200)[0], torch.rand(80, 200, device="cuda")),
        lambda boxes, scores: ops.fast_nms(boxes, scores, 0.5, 200),
        lambda boxes, scores: torch_fast_nms(boxes, scores, 0.5, 200),
        peer_name="vectorised torch",
        target=3,
        waits=True,
    )


def test_nms_rotated(race):
    def make():
        return tuple(t.cuda() for t in rotated_boxes(2000))

    race(
        "nms_rotated",
        "n=2000",
        make,
        lambda boxes, scores: ops.nms_rotated(boxes, scores, 0.5),
        lambda boxes, scores: torch_nms(boxes, scores, 0.5),
        peer_name="vectorised torch",
        target=3,
        waits=True,
    )


def pyramid_level(dtype, fmt):
    x = random(2, 256, 200, 272, dtype=dtype, fmt=fmt)
    low = torch.rand(1000, 2, device="cuda") * torch.tensor([900.0, 600.0], device="cuda")
    high = low + 16 + 200 * torch.rand(1000, 2, device="cuda")
    image = torch.randint(0, 2, (1000, 1), device="cuda")
    return x, torch.cat([image, low, high], 1).to(dtype)


@pytest.mark.parametrize(
    "dtype, fmt, target", [(torch.float32, NCHW, 1.5), (torch.float16, CHANNELS_LAST, 3)]
)
def test_roi_align(race, dtype, fmt, target):
    race(
        "roi_align",
        f"forward, {name_of(dtype)}, {order_of(fmt)}",
        lambda: pyramid_level(dtype, fmt),
        lambda x, rois: ops.roi_align(x, rois, 7, 0.25, 2, True),
        lambda x, rois: torchvision.ops.roi_align(x, rois, 7, 0.25, 2, True),
        target=target,
    )


def test_roi_align_backward(race):
    def make():
        x, rois = pyramid_level(torch.float32, NCHW)
        return random(1000, 256, 7, 7), rois, 0.25, 7, 7, *x.shape, 2, True

    race(
        "roi_align",
        "backward, float32",
        make,
        torch.ops.fastcv._roi_align_backward,
        torch.ops.torchvision._roi_align_backward,
        target=2,
    )


DEFORM_CASES = pytest.mark.parametrize(
    "dtype, fmt",
    [
        (torch.float16, CHANNELS_LAST),
        (torch.bfloat16, CHANNELS_LAST),
        (torch.float16, NCHW),
        (torch.float32, NCHW),
    ],
)


def deform_arguments(dtype, fmt):
    """3 x 3 taps, padded, offsets of some pixels."""
    x = random(8, 256, 64, 64, dtype=dtype, fmt=fmt)
    offset = random(8, 18, 64, 64, dtype=dtype) * 2
    mask = torch.rand(8, 9, 64, 64, device="cuda").to(dtype)
    return x, offset, random(256, 256, 3, 3, dtype=dtype) / 48, mask


def deformed(module, x, offset, weight, mask):
    if module is torchvision.ops and x.dtype == torch.bfloat16:  # which it does not have
        x, offset, weight, mask = (t.float() for t in (x, offset, weight, mask))
    return module.deform_conv2d(x, offset, weight, None, 1, 1, 1, mask)


@DEFORM_CASES
def test_deform_conv2d(race, dtype, fmt):
    race(
        "deform_conv2d",
        f"forward, {name_of(dtype)}, {order_of(fmt)}",
        lambda: deform_arguments(dtype, fmt),
        lambda *a: deformed(ops, *a),
        lambda *a: deformed(torchvision.ops, *a),
        target=4,
        peer_waits=True,  # its kernels run on the default stream, which a graph leaves out
    )


@DEFORM_CASES
def test_deform_conv2d_against_a_plain_convolution(race, dtype, fmt):
    race(
        "deform_conv2d",
        f"forward, {name_of(dtype)}, {order_of(fmt)}",
        lambda: deform_arguments(dtype, fmt),
        lambda *a: deformed(ops, *a),
        lambda x, offset, weight, mask: F.conv2d(x, weight, padding=1),
        peer_name="cuDNN's conv2d",
        target=round(1 / 1.5, 2),
    )


@DEFORM_CASES
def test_deform_conv2d_backward(race, dtype, fmt):
    def make():
        return *deform_arguments(dtype, fmt), random(8, 256, 64, 64, dtype=dtype, fmt=fmt)

    def gradients(module):
        def run(*tensors):
            *leaves, grad = (t.detach().requires_grad_() for t in tensors)
            out = deformed(module, *leaves)
            return torch.autograd.grad(out, leaves, grad.detach().to(out.dtype))

        return run

    race(
        "deform_conv2d",
        f"forward and backward, {name_of(dtype)}, {order_of(fmt)}",
        make,
        gradients(ops),
        gradients(torchvision.ops),
        target=3,
        peer_waits=True,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_sigmoid_focal_loss(race, dtype):
    def make():
        targets = torch.rand(200_000, 80, device="cuda") > 0.999
        return random(200_000, 80, dtype=dtype) - 2, targets.to(dtype)

    def both(op):
        def run(logits, targets):
            leaf = logits.detach().requires_grad_()
            return torch.autograd.grad(op(leaf, targets, reduction="sum"), leaf)

        return run

    size = 200_000 * 80 * torch.empty((), dtype=dtype).element_size()
    race(
        "sigmoid_focal_loss",
        f"forward and backward, 200k anchors x 80, {name_of(dtype)}",
        make,
        both(ops.sigmoid_focal_loss),
        both(torchvision.ops.sigmoid_focal_loss),
        target=5,
        moved=5 * size,  # logits and targets twice, the gradient
    )


@pytest.mark.parametrize("channels, side", [(64, 256), (256, 128), (512, 64)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_gram_matrix(race, channels, side, dtype):
    def by_bmm(x):
        f = x.flatten(2)
        return torch.bmm(f, f.mT) / f[0].numel()

    x = torch.empty(4, channels, side, side, dtype=dtype, device="meta")
    race(
        "gram_matrix",
        f"4 x {channels} x {side}^2, {name_of(dtype)}",
        lambda: (random(*x.shape, dtype=dtype),),
        ops.gram_matrix,
        by_bmm,
        peer_name="torch.bmm",
        target=1.3 if channels >= 256 and dtype == torch.float32 else 1,
        moved=x.nbytes,
        flops=4 * channels * (channels + 1) * side**2,  # one triangle
        dtype=dtype,
    )


@pytest.mark.parametrize("direction, dim", [("bottom", 2), ("right", 3)])
def test_corner_pool(race, direction, dim):
    race(
        "corner_pool",
        f"{direction}, 8 x 128 x 128^2",
        lambda: (random(8, 128, 128, 128),),
        lambda x: ops.corner_pool(x, direction),
        lambda x: x.cummax(dim),
        peer_name="torch.cummax",
        target=2,
        moved=2 * 8 * 128**3 * 4,
    )


def test_hog(race):
    images = torch.rand(8, 3, 480, 640)
    race(
        "hog",
        "8 x 640 x 480, RGB",
        lambda: (torch.rand(8, 3, 480, 640, device="cuda"),),
        ops.hog,
        lambda _: ops.hog(images),
        peer_name="our CPU",
        waits=True,
    )


def test_paste_masks(race):
    race(
        "paste_masks",
        "100 of 28^2 into 800 x 1333",
        lambda: tuple(t.cuda() for t in masks_and_boxes()),
        lambda masks, boxes: ops.paste_masks(masks, boxes, SIZE),
        torchvisions,
        target=10,
        moved=100 * SIZE[0] * SIZE[1],
        peer_waits=True,
    )


def test_proto_masks(race):
    race(
        "proto_masks",
        "100 of 138^2 into 550 x 550",
        lambda: tuple(t.cuda() for t in instances()),
        lambda *inputs: ops.proto_masks(*inputs, PROTO_SIZE),
        torch_chain,
        target=4,
        moved=100 * PROTO_SIZE[0] * PROTO_SIZE[1],
    )


@pytest.mark.parametrize("dtype, fmt", [(torch.float32, NCHW), (torch.float16, CHANNELS_LAST)])
def test_flow_warp(race, dtype, fmt):
    def make():
        return random(4, 256, 100, 168, dtype=dtype, fmt=fmt), 3 * random(4, 2, 100, 168)

    race(
        "flow_warp",
        f"forward, {name_of(dtype)}, {order_of(fmt)}",
        make,
        ops.flow_warp,
        by_grid_sample,
        peer_name="torch.grid_sample",
        target=2,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_correlation(race, dtype):
    channels, height, width, radius = CORRELATED[0]
    a = torch.empty(4, channels, height, width, dtype=dtype, device="meta")
    displacements = (2 * radius + 1) ** 2
    race(
        "correlation",
        f"forward, 4 x {channels} x {height} x {width}, radius {radius}, {name_of(dtype)}",
        lambda: (random(*a.shape, dtype=dtype), random(*a.shape, dtype=dtype)),
        lambda a, b: ops.correlation(a, b, radius),
        lambda a, b: by_shifts(a, b, radius),
        peer_name="torch, shift by shift",
        target=4,
        moved=2 * a.nbytes + a.nbytes // channels * displacements,
    )


def test_correlation_backward(race):
    channels, height, width, radius = CORRELATED[0]
    shape = (4, channels, height, width)

    def make():
        return random(*shape), random(*shape), random(4, (2 * radius + 1) ** 2, height, width)

    def gradients(correlated):
        def run(a, b, grad):
            leaves = [a.detach().requires_grad_(), b.detach().requires_grad_()]
            return torch.autograd.grad(correlated(*leaves, radius), leaves, grad)

        return run

    race(
        "correlation",
        f"forward and backward, 4 x {channels} x {height} x {width}, radius {radius}, float32",
        make,
        gradients(ops.correlation),
        gradients(by_shifts),
        peer_name="torch, shift by shift",
        target=4,
    )


@pytest.mark.parametrize("size", SEARCHED, ids=str)
def test_cosine_topk(race, size):
    *shape, k = size
    race(
        "cosine_topk",
        f"{shape[0]} queries, {shape[1]} x {shape[2]}, k = {k}",
        lambda: rows(*shape, device="cuda"),
        lambda queries, gallery: ops.cosine_topk(queries, gallery, k),
        lambda queries, gallery: by_topk(queries, gallery, k),
        peer_name="torch: matmul and topk",
        target=1,
    )


@pytest.mark.parametrize("size", QUANTISED, ids=str)
def test_vq_codes(race, size):
    race(
        "vq_codes",
        f"{size[0]} vectors, {size[1]} x {size[2]}",
        lambda: frames_and_codes(*size, device="cuda"),
        ops.vq_codes,
        by_cdist,
        peer_name="torch: cdist, argmin, one_hot and matmul",
        target=1,
    )


@pytest.mark.parametrize("size", HEARD, ids=str)
def test_mel_spectrogram(race, size):
    length, hop, count = size
    window, filters = torch.hann_window(length, device="cuda"), bands(length, count).cuda()
    race(
        "mel_spectrogram",
        f"60 s, window {length}, {count} bands",
        lambda: (sound("cuda"), window, filters),
        lambda *three: ops.mel_spectrogram(*three, hop, pad=length // 2),
        lambda *three: by_steps(*three, hop),
        peer_name="torch: stft and matmul",
        target=1,
    )


@pytest.mark.parametrize("size", COUNTED, ids=str)
def test_panoptic_counts(race, size):
    height, width, segments = size
    on_cpu = maps(*size)
    race(
        "panoptic_counts",
        f"{height} x {width}, {segments} segments",
        lambda: tuple(ids.cuda() for ids in on_cpu),
        ops.panoptic_counts,
        by_torch_unique,
        peer_name="torch.unique",
        target=3,
        moved=2 * height * width * 4,
        waits=True,
    )


def test_encode_heatmaps(race):
    race(
        "encode_heatmaps",
        "16 x 16 of 64^2",
        lambda: (points().cuda(),),
        lambda places: ops.encode_heatmaps(places, (SIDE, SIDE), SIGMA),
        torch_encode,
        peer_name="torch",
        moved=16 * 16 * SIDE * SIDE * 4,
    )


def test_decode_heatmaps(race):
    race(
        "decode_heatmaps",
        "16 x 16 of 64^2",
        lambda: (ops.encode_heatmaps(points().cuda() + 0.3, (SIDE, SIDE), SIGMA),),
        ops.decode_heatmaps,
        torch_decode,
        peer_name="torch",
        target=3,
        moved=16 * 16 * SIDE * SIDE * 4,
    )


def test_dense_crf(race):
    unary = F.interpolate(torch.rand(1, 21, 24, 32) * 4, (375, 500), mode="bilinear")
    image = F.interpolate(torch.rand(1, 3, 24, 32), (375, 500), mode="bilinear")
    race(
        "dense_crf",
        "500 x 375, 21 labels, 10 iterations",
        lambda: (unary.cuda(), image.cuda()),
        ops.dense_crf,
        lambda *_: ops.dense_crf(unary, image),
        peer_name="our CPU",
        target=20,
        waits=True,
    )


@pytest.mark.parametrize("fmt", [NCHW, CHANNELS_LAST])
@pytest.mark.parametrize(
    "shape, weight_shape, stride, padding, groups, target",
    [
        ((8, 256, 64, 64), (256, 128, 2, 2), 2, 0, 1, 1.5),
        ((8, 256, 64, 64), (256, 128, 4, 4), 2, 1, 1, 1),
        ((8, 21, 16, 16), (21, 1, 64, 64), 32, 0, 21, 5),
    ],
    ids=["k2s2", "k4s2", "k64s32g21"],
)
def test_conv_transpose2d(race, shape, weight_shape, stride, padding, groups, target, fmt):
    def make():
        half = torch.float16
        return random(*shape, dtype=half, fmt=fmt), random(*weight_shape, dtype=half)

    race(
        "conv_transpose2d",
        f"{list(shape)}, {list(weight_shape)}, stride {stride}, float16, {order_of(fmt)}",
        make,
        lambda x, w: ops.conv_transpose2d(x, w, None, stride, padding, 0, groups),
        lambda x, w: F.conv_transpose2d(x, w, None, stride, padding, 0, groups),
        peer_name="cuDNN",
        target=target,
    )


@pytest.mark.parametrize("rate", [6, 12])
def test_atrous_separable_conv2d(race, rate):
    def make():
        half = torch.float16
        x = random(8, 256, 129, 129, dtype=half, fmt=CHANNELS_LAST)
        return x, random(256, 1, 3, 3, dtype=half), random(256, 256, 1, 1, dtype=half) / 16

    race(
        "atrous_separable_conv2d",
        f"8 x 256 -> 256, 129^2, rate {rate}, float16, channels_last",
        make,
        lambda *a: ops.atrous_separable_conv2d(*a, padding=rate, dilation=rate),
        lambda x, dw, pw: F.conv2d(F.conv2d(x, dw, None, 1, rate, rate, 256), pw),
        peer_name="cuDNN depthwise + 1x1",
        target=2,
    )
