"""On a GPU (`make gpu`): ours against torchvision's, each call waited for."""

import pytest
import torch

import fastcv.ops as ops

torchvision = pytest.importorskip("torchvision")
pytestmark = pytest.mark.cuda


def waiting(call):
    def run():
        result = call()
        torch.cuda.synchronize()
        return result

    return run


@pytest.mark.parametrize("n, target", [(1000, 2), (10_000, 3), (100_000, 10)])
def test_nms(compare, n, target):
    g = torch.Generator().manual_seed(0)
    centre = torch.rand(n, 2, generator=g) * torch.tensor([1333.0, 800.0])
    size = 8 + 200 * torch.rand(n, 2, generator=g)
    boxes = torch.cat([centre - size / 2, centre + size / 2], 1).cuda()
    scores = torch.rand(n, generator=g).cuda()
    compare(
        "nms",
        f"CUDA, n={n}",
        waiting(lambda: ops.nms(boxes, scores, 0.7)),
        waiting(lambda: torchvision.ops.nms(boxes, scores, 0.7)),
        target=target,
    )


def pyramid_level(dtype, memory_format):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(2, 256, 200, 272, generator=g).to(dtype).cuda()
    low = torch.rand(1000, 2, generator=g) * torch.tensor([900.0, 600.0])
    high = low + 16 + 200 * torch.rand(1000, 2, generator=g)
    rois = torch.cat([torch.randint(0, 2, (1000, 1), generator=g), low, high], 1).cuda()
    return x.contiguous(memory_format=memory_format), rois


@pytest.mark.parametrize(
    "dtype, memory_format, target",
    [(torch.float32, torch.contiguous_format, 1.5), (torch.float16, torch.channels_last, 3)],
    ids=["fp32-nchw", "fp16-channels_last"],
)
def test_roi_align(compare, dtype, memory_format, target):
    x, rois = pyramid_level(dtype, memory_format)
    compare(
        "roi_align",
        f"CUDA, forward, {dtype}, {memory_format}",
        waiting(lambda: ops.roi_align(x, rois, 7, 0.25, 2, True)),
        waiting(lambda: torchvision.ops.roi_align(x, rois.to(dtype), 7, 0.25, 2, True)),
        target=target,
    )


def test_roi_align_backward(compare):
    x, rois = pyramid_level(torch.float32, torch.contiguous_format)
    grad = torch.randn(1000, 256, 7, 7, device="cuda")
    arguments = (grad, rois, 0.25, 7, 7, *x.shape, 2, True)
    compare(
        "roi_align",
        "CUDA, backward, float32",
        waiting(lambda: torch.ops.fastcv._roi_align_backward(*arguments)),
        waiting(lambda: torch.ops.torchvision._roi_align_backward(*arguments)),
        target=2,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_sigmoid_focal_loss(compare, dtype):
    g = torch.Generator().manual_seed(0)
    logits = (torch.randn(200_000, 80, generator=g) - 2).to(dtype).cuda().requires_grad_()
    targets = (torch.rand(200_000, 80, generator=g) > 0.999).to(dtype).cuda()

    def both(op):
        return torch.autograd.grad(op(logits, targets, reduction="sum"), logits)

    compare(
        "sigmoid_focal_loss",
        f"CUDA, forward and backward, 200k anchors x 80, {dtype}",
        waiting(lambda: both(ops.sigmoid_focal_loss)),
        waiting(lambda: both(torchvision.ops.sigmoid_focal_loss)),
        target=5,
    )


@pytest.mark.parametrize("channels, side", [(64, 256), (256, 128), (512, 64)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_gram_matrix(compare, channels, side, dtype):
    x = torch.randn(4, channels, side, side, device="cuda").to(dtype)
    f = x.flatten(2)
    compare(
        "gram_matrix",
        f"CUDA, 4 x {channels} x {side}^2, {dtype}",
        waiting(lambda: ops.gram_matrix(x)),
        waiting(lambda: torch.bmm(f, f.mT) / f[0].numel()),
        peer_name="torch.bmm",
        target=1.3 if channels >= 256 and dtype == torch.float32 else 1,
    )


@pytest.mark.parametrize("direction, dim", [("bottom", 2), ("right", 3)])
def test_corner_pool(compare, direction, dim):
    x = torch.randn(8, 128, 128, 128, device="cuda")
    compare(
        "corner_pool",
        f"CUDA, {direction}, 8 x 128 x 128^2",
        waiting(lambda: ops.corner_pool(x, direction)),
        waiting(lambda: x.cummax(dim)),
        peer_name="torch.cummax",
        target=2,
    )


def test_hog(compare):
    images = torch.rand(8, 3, 480, 640)
    on_gpu = images.cuda()
    compare(
        "hog",
        "CUDA, 8 x 640 x 480, RGB",
        waiting(lambda: ops.hog(on_gpu)),
        lambda: ops.hog(images),
        peer_name="our CPU",
        target=20,
    )


def test_dense_crf(compare):
    g = torch.Generator().manual_seed(0)
    unary = torch.rand(1, 21, 24, 32, generator=g) * 4
    unary = torch.nn.functional.interpolate(unary, (375, 500), mode="bilinear")
    image = torch.rand(1, 3, 24, 32, generator=g)
    image = torch.nn.functional.interpolate(image, (375, 500), mode="bilinear")
    on_gpu = unary.cuda(), image.cuda()
    compare(
        "dense_crf",
        "CUDA, 500 x 375, 21 labels, 10 iterations",
        waiting(lambda: ops.dense_crf(*on_gpu)),
        lambda: ops.dense_crf(unary, image),
        peer_name="our CPU",
        target=20,
    )


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(
    "shape, weight_shape, stride, groups, target",
    [
        ((8, 256, 64, 64), (256, 128, 2, 2), 2, 1, 1.5),
        ((8, 21, 16, 16), (21, 1, 64, 64), 32, 21, 5),
    ],
    ids=["k2s2", "k64s32g21"],
)
def test_conv_transpose2d(compare, shape, weight_shape, stride, groups, target, memory_format):
    x = torch.randn(shape, device="cuda", dtype=torch.float16)
    x = x.contiguous(memory_format=memory_format)
    arguments = (x, torch.randn(weight_shape, device="cuda").half(), None, stride, 0, 0, groups)
    compare(
        "conv_transpose2d",
        f"CUDA, {list(shape)}, {list(weight_shape)}, stride {stride}, fp16, {memory_format}",
        waiting(lambda: ops.conv_transpose2d(*arguments)),
        waiting(lambda: torch.nn.functional.conv_transpose2d(*arguments)),
        peer_name="cuDNN",
        target=target,
    )


@pytest.mark.parametrize("rate", [6, 12])
def test_atrous_separable_conv2d(compare, rate):
    conv2d = torch.nn.functional.conv2d
    x = torch.randn(8, 256, 129, 129, device="cuda").half()
    x = x.contiguous(memory_format=torch.channels_last)
    depthwise = torch.randn(256, 1, 3, 3, device="cuda").half()
    pointwise = torch.randn(256, 256, 1, 1, device="cuda").half() / 16
    compare(
        "atrous_separable_conv2d",
        f"CUDA, 8 x 256 -> 256, 129^2, rate {rate}, fp16 channels_last",
        waiting(
            lambda: ops.atrous_separable_conv2d(
                x, depthwise, pointwise, padding=rate, dilation=rate
            )
        ),
        waiting(lambda: conv2d(conv2d(x, depthwise, None, 1, rate, rate, 256), pointwise)),
        peer_name="cuDNN depthwise + 1x1",
        target=2,
    )
