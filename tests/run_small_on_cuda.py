"""Every CUDA kernel once on small inputs, against the CPU: short enough for compute-sanitizer.

compute-sanitizer --tool=memcheck python tests/run_small_on_cuda.py [float16 ...]
"""

import itertools
import os
import sys

import torch

import fastcv.ops as ops

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS deterministic, if asked
torch.backends.cudnn.allow_tf32 = False

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
FORMATS = [torch.contiguous_format, torch.channels_last]
TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-4, torch.float16: 5e-3, torch.bfloat16: 4e-2}


def boxes_and_scores(n, dtype):
    g = torch.Generator().manual_seed(n)
    corner = torch.rand(n, 2, generator=g) * 60
    boxes = torch.cat([corner, corner + 5 + 25 * torch.rand(n, 2, generator=g)], 1)
    return boxes.to(dtype), torch.rand(n, generator=g).to(dtype)


def check_suppression(dtype):
    boxes, scores = boxes_and_scores(150, dtype)
    rotated = torch.cat([boxes[:, :2], boxes[:, 2:] / 3, boxes[:, :1] * 6], 1)
    idxs = torch.arange(150) % 3
    calls = [
        (ops.nms, (boxes, scores, 0.4)),
        (ops.batched_nms, (boxes, scores, idxs, 0.4)),
        (ops.soft_nms, (boxes, scores, "linear")),
        (ops.batched_soft_nms, (boxes, scores, idxs, "gaussian")),
        (ops.fast_nms, (boxes, torch.stack([scores, scores.flip(0)]), 0.4)),
        (ops.box_iou_rotated, (rotated, rotated)),
        (ops.nms_rotated, (rotated, scores, 0.4)),
        (ops.batched_nms_rotated, (rotated, scores, idxs, 0.4)),
    ]
    for op, arguments in calls:
        compare(op.__name__, op(*arguments), op(*on_cuda(arguments)), dtype)


def check_pooling(dtype, memory_format):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(2, 32, 9, 37, generator=g).to(dtype).contiguous(memory_format=memory_format)
    low = torch.rand(12, 2, generator=g) * 30 - 4
    upright = torch.cat([torch.arange(12)[:, None] % 2, low, low + 20 * torch.rand(12, 2)], 1)
    rotated = torch.cat([upright, torch.rand(12, 1, generator=g) * 360], 1)
    calls = [
        (ops.roi_align, upright, (2, 0.7, -1, True)),
        (ops.roi_align_rotated, rotated, (2, 0.7, 2, True)),
        (ops.roi_pool, upright, (2, 0.7)),
        (ops.ps_roi_align, upright, (2, 0.7, 2)),
        (ops.ps_roi_pool, upright, (2, 0.7)),
    ]
    for op, rois, options in calls:
        results = []
        for device in ("cpu", "cuda"):
            y = x.to(device).requires_grad_()
            out = op(y, rois.to(device), *options)
            grad = torch.linspace(-1, 1, out.numel()).reshape(out.shape).to(out)
            results.append((out.detach(), torch.autograd.grad(out, y, grad)[0]))
        compare(op.__name__, *results, dtype)


def check_focal_losses(dtype):
    g = torch.Generator().manual_seed(0)
    x = (3 * torch.randn(60, 90, generator=g)).to(dtype)
    hard = torch.rand(60, 90, generator=g) > 0.9
    index = torch.randint(90, (60,), generator=g)
    weight = torch.rand(60, generator=g)
    for op, targets in (
        (ops.sigmoid_focal_loss, hard),
        (ops.sigmoid_focal_loss, hard.to(dtype)),
        (ops.softmax_focal_loss, index),
        (ops.softmax_focal_loss, hard.to(dtype)),
    ):
        for reduction in ("none", "mean"):
            results = []
            for device in ("cpu", "cuda"):
                y = x.to(device).requires_grad_()
                factors = weight.to(device)
                loss = op(y, targets.to(device), reduction=reduction, weight=factors)
                results.append((loss.detach(), torch.autograd.grad(loss.sum(), y)[0]))
            compare(op.__name__, *results, dtype)


def check_deform_conv2d(dtype, memory_format):
    g = torch.Generator().manual_seed(0)
    shapes = [(2, 48, 9, 13), (2, 36, 9, 13), (70, 24, 3, 3), (70,), (2, 18, 9, 13)]
    tensors = [torch.randn(s, generator=g).to(dtype) for s in shapes]
    tensors[0] = tensors[0].contiguous(memory_format=memory_format)
    for ordered in (False, True):
        torch.use_deterministic_algorithms(ordered)
        results = []
        for device in ("cpu", "cuda"):
            leaves = [t.detach().to(device).requires_grad_() for t in tensors]
            out = ops.deform_conv2d(*leaves[:4], padding=1, mask=leaves[4]) / 24
            grad = torch.linspace(-1, 1, out.numel()).reshape(out.shape).to(out)
            grads = torch.autograd.grad(out, leaves, grad)
            results.append((out.detach(), *(t / t.abs().max() for t in grads)))
        compare("deform_conv2d", *results, dtype)
    torch.use_deterministic_algorithms(False)


def check_gram_matrix(dtype, memory_format):
    for shape in ((2, 72, 6, 8), (1, 5, 7, 9), (1, 8, 30, 40)):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
        x = x.contiguous(memory_format=memory_format)
        compare("gram_matrix", ops.gram_matrix(x), ops.gram_matrix(x.cuda()), dtype)


def check_dense_crf(dtype):
    g = torch.Generator().manual_seed(0)
    for labels, channels in ((4, 3), (35, 1)):
        unary = (torch.rand(2, labels, 7, 9, generator=g) * 3).to(dtype)
        image = torch.rand(2, channels, 7, 9, generator=g, dtype=torch.float64)
        for matrix in (None, torch.rand(labels, labels, generator=g, dtype=torch.float64)):
            results = []
            for device in ("cpu", "cuda"):
                leaf = unary.to(device).requires_grad_()
                own = None if matrix is None else matrix.to(device)
                q = ops.dense_crf(leaf, image.to(device), iterations=3, compatibility=own)
                grad = torch.linspace(-1, 1, q.numel()).reshape(q.shape).to(q)
                (by_unary,) = torch.autograd.grad(q, leaf, grad)
                results.append((q.detach(), by_unary / by_unary.abs().max()))
            compare("dense_crf", *results, dtype)


def check_corner_pool(dtype, memory_format):
    x = torch.randn(2, 5, 9, 35, generator=torch.Generator().manual_seed(0)).to(dtype)
    x = x.contiguous(memory_format=memory_format)
    for direction in ("top", "bottom", "left", "right"):
        results = []
        for device in ("cpu", "cuda"):
            leaf = x.to(device).requires_grad_()
            out = ops.corner_pool(leaf, direction)
            grad = torch.linspace(-1, 1, out.numel()).reshape(out.shape).to(out)
            (by_input,) = torch.autograd.grad(out, leaf, grad)
            results.append((out.detach(), by_input / by_input.abs().max()))
        compare("corner_pool", *results, dtype)


def check_hog(dtype):
    for shape, numbers in (((1, 3, 20, 27), (9, 8, 2)), ((2, 1, 13, 16), (32, 3, 3))):
        images = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(dtype)
        compare("hog", ops.hog(images, *numbers), ops.hog(images.cuda(), *numbers), dtype)


def check_paste_masks(dtype):
    masks = torch.rand(5, 14, 14, generator=torch.Generator().manual_seed(0)).to(dtype)
    boxes = torch.tensor([[2.0, 1.0, 19.5, 12.2]]) + torch.arange(5)[:, None] * 5 - 12
    pasted = ops.paste_masks(masks.cuda(), boxes.cuda(), (17, 21)).cpu()
    compare(
        "paste_masks", ops.paste_masks(masks, boxes, (17, 21)).to(dtype), pasted.to(dtype), dtype
    )


def check_flow_warp(dtype, memory_format):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(2, 16, 9, 7, generator=g).to(dtype).contiguous(memory_format=memory_format)
    flow = torch.randn(2, 2, 9, 7, generator=g) * 3
    for padding in ("zeros", "border"):
        args = flow, padding, True
        output = ops.flow_warp(x, *args)
        compare("flow_warp", output, ops.flow_warp(*on_cuda((x, flow)), padding).cpu(), dtype)
        backward = torch.ops.fastcv._flow_warp_backward
        on_device = backward(*on_cuda((x, x, flow)), padding, True, True, True)
        for name, ours, theirs in zip(
            ("input", "flow"), backward(x, x, *args, True, True), on_device, strict=True
        ):
            compare(f"flow_warp's {name} gradient", ours.to(dtype), theirs.cpu().to(dtype), dtype)


def check_proto_masks(dtype):
    g = torch.Generator().manual_seed(0)
    prototypes = torch.rand(6, 14, 9, generator=g).to(dtype)
    inputs = (prototypes, torch.randn(5, 6, generator=g).to(dtype))
    boxes = torch.tensor([[2.0, 1.0, 19.5, 12.2]]) + torch.arange(5)[:, None] * 5 - 12
    drawn = ops.proto_masks(*on_cuda((*inputs, boxes)), (17, 21)).cpu()
    compare(
        "proto_masks", ops.proto_masks(*inputs, boxes, (17, 21)).to(dtype), drawn.to(dtype), dtype
    )


def check_convolutions(dtype, memory_format):
    g = torch.Generator().manual_seed(0)

    def draw(*shape):
        return (torch.randn(shape, generator=g) / 4).to(dtype)

    def both(name, call, x, *weights):
        x = x.contiguous(memory_format=memory_format)
        results = []
        for device in ("cpu", "cuda"):
            leaves = [t.detach().to(device).requires_grad_() for t in (x, *weights)]
            out = call(*leaves)
            grad = torch.linspace(-1, 1, out.numel()).reshape(out.shape).to(out)
            grads = torch.autograd.grad(out, leaves, grad)
            results.append((out.detach(), *(t / t.abs().max() for t in grads)))
        compare(name, *results, dtype)

    for channels, out_channels, groups, k, s in ((40, 70, 1, 2, 2), (33, 33, 33, 16, 8)):
        x, w = draw(2, channels, 9, 13), draw(channels, out_channels // groups, k, k)

        def transposed(x, w, b, s=s, groups=groups):
            return ops.conv_transpose2d(x, w, b, s, 0, 0, groups)

        both("conv_transpose2d", transposed, x, w, draw(out_channels))
    # In 16 bits a value that should be near 0 is rounded to either side of it, and with it goes the
    # whole gradient of a ReLU, though not its value.
    activation = "relu" if dtype.itemsize > 2 else None
    for channels in (48, 37):
        x, *weights = (
            draw(2, channels, 9, 13),
            draw(channels, 1, 3, 3),
            draw(140, channels, 1, 1),
            draw(channels),
            draw(140),
        )
        both(
            "atrous_separable_conv2d",
            lambda *parts: ops.atrous_separable_conv2d(*parts, 1, 3, 3, activation),
            x,
            *weights,
        )
        parts = [x.contiguous(memory_format=memory_format), *weights]
        results = (
            ops.atrous_separable_conv2d(*tensors, 1, 3, 3, "relu")
            for tensors in (parts, on_cuda(parts))
        )
        compare("atrous_separable_conv2d", *results, dtype)


def on_cuda(arguments):
    return [a.cuda() if isinstance(a, torch.Tensor) else a for a in arguments]


def compare(name, cpu, cuda, dtype):
    cpu, cuda = (r if isinstance(r, tuple) else (r,) for r in (cpu, cuda))
    for want, got in zip(cpu, cuda, strict=True):
        tolerance = TOLERANCE[dtype]
        torch.testing.assert_close(got.cpu(), want, rtol=tolerance, atol=tolerance, msg=name)


def main(names):
    x = torch.arange(1000.0)
    compare("identity", ops.identity(x), ops.identity(x.cuda()), torch.float32)
    dtypes = [getattr(torch, name) for name in names] or DTYPES
    for dtype in dtypes:
        check_suppression(dtype)
        check_focal_losses(dtype)
    for dtype, memory_format in itertools.product(dtypes, FORMATS):
        check_pooling(dtype, memory_format)
        check_deform_conv2d(dtype, memory_format)
        check_gram_matrix(dtype, memory_format)
        check_dense_crf(dtype)
        check_corner_pool(dtype, memory_format)
        check_hog(dtype)
        check_paste_masks(dtype)
        check_proto_masks(dtype)
        check_flow_warp(dtype, memory_format)
        check_convolutions(dtype, memory_format)
    print("every kernel ran")


if __name__ == "__main__":
    main(sys.argv[1:])
