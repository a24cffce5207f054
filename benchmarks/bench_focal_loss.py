"""Focal losses, forward and backward, as a one-stage detector and a segmenter call them."""

import pytest
import torch
import torch.nn.functional as F

import fastcv.ops as ops

torchvision = pytest.importorskip("torchvision")


def anchors(n=200_000, classes=80):
    g = torch.Generator().manual_seed(0)
    logits = (torch.randn(n, classes, generator=g) - 2).requires_grad_()
    targets = (torch.rand(n, classes, generator=g) > 0.999).float()
    return logits, targets


def forward_and_backward(loss, logits, *arguments, **options):
    def run():
        logits.grad = None
        loss(logits, *arguments, **options).backward()
        return logits.grad

    return run


def sigmoid_formula(x, t):
    p = x.sigmoid()
    q = p * (1 - t) + (1 - p) * t
    ce = F.binary_cross_entropy_with_logits(x, t, reduction="none")
    return ((0.25 * t + 0.75 * (1 - t)) * ce * q**2).sum()


def test_sigmoid_focal_loss(compare, threads):
    logits, targets = anchors()
    compare(
        "sigmoid_focal_loss",
        "forward and backward, 200k anchors x 80",
        forward_and_backward(ops.sigmoid_focal_loss, logits, targets, reduction="sum"),
        forward_and_backward(torchvision.ops.sigmoid_focal_loss, logits, targets, reduction="sum"),
        target=(15, 20)[threads - 1],
    )


def test_sigmoid_focal_loss_compiled(compare, threads):
    logits, targets = anchors()
    compare(
        "sigmoid_focal_loss",
        "forward and backward, 200k anchors x 80",
        forward_and_backward(ops.sigmoid_focal_loss, logits, targets, reduction="sum"),
        forward_and_backward(torch.compile(sigmoid_formula), logits, targets),
        peer_name="torch.compile",
        target=(4, 8)[threads - 1],
    )


def softmax_formula(x, t):
    log_p = F.log_softmax(x, 1).gather(1, t[:, None])[:, 0]
    return -((1 - log_p.exp()) ** 2 * log_p).sum()


@pytest.mark.parametrize("rows, classes", [(512 * 512, 21), (20_000, 1000)])
def test_softmax_focal_loss(compare, threads, rows, classes):
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(rows, classes, generator=g).requires_grad_()
    targets = torch.randint(classes, (rows,), generator=g)
    compare(
        "softmax_focal_loss",
        f"forward and backward, {rows} x {classes}",
        forward_and_backward(ops.softmax_focal_loss, logits, targets, reduction="sum"),
        forward_and_backward(softmax_formula, logits, targets),
        peer_name="PyTorch's ops",
        target=2,
    )
