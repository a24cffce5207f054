"""nms and batched_nms against torchvision's."""

import pytest
import torch
from made_boxes import rpn_like, spread

import fastcv.ops as ops

torchvision = pytest.importorskip("torchvision")


@pytest.mark.parametrize("n, target", [(1000, 10), (5000, 30), (20000, 80)])
def test_rpn_like(compare, n, target):
    boxes, scores = rpn_like(n)
    compare(
        "nms",
        f"RPN-like, n={n}",
        lambda: ops.nms(boxes, scores, 0.7),
        lambda: torchvision.ops.nms(boxes, scores, 0.7),
        target=target,
    )


def test_spread(compare):
    boxes, scores = spread(20000, 20000)
    compare(
        "nms",
        "spread over 20000 x 20000, n=20000",
        lambda: ops.nms(boxes, scores, 0.7),
        lambda: torchvision.ops.nms(boxes, scores, 0.7),
        target=400,
    )


@pytest.mark.parametrize("clusters", [0, 1000], ids=["spread", "clustered"])
def test_a_million(compare, clusters):
    # torchvision takes about an hour; the peer here is what reading the scores in order costs.
    boxes, scores = spread(1_000_000, 140_000, clusters)
    compare(
        "nms",
        f"n=1000000, {'clustered' if clusters else 'spread'}",
        lambda: ops.nms(boxes, scores, 0.7),
        lambda: scores.sort(descending=True),
        peer_name="torch.sort of the scores",
    )


def test_call_overhead(compare):
    boxes, scores = rpn_like(10)
    compare(
        "nms",
        "n=10: call overhead",
        lambda: ops.nms(boxes, scores, 0.7),
        lambda: torchvision.ops.nms(boxes, scores, 0.7),
        target=4,
    )


def test_batched(compare, threads):
    boxes, scores = rpn_like(20000)
    classes = torch.randint(0, 80, (20000,), generator=torch.Generator().manual_seed(1))
    compare(
        "batched_nms",
        "20000 boxes, 80 classes",
        lambda: ops.batched_nms(boxes, scores, classes, 0.5),
        lambda: torchvision.ops.batched_nms(boxes, scores, classes, 0.5),
        target=20,
    )


def test_batched_images(compare, threads):
    boxes, scores = rpn_like(8 * 2000)
    images = torch.arange(8 * 2000) % 8
    compare(
        "batched_nms",
        "8 images of 2000 boxes",
        lambda: ops.batched_nms(boxes, scores, images, 0.7),
        lambda: torchvision.ops.batched_nms(boxes, scores, images, 0.7),
        target=20,
    )
