"""soft_nms against the obvious torch version: one vectorised pass over the boxes per selection."""

import pytest
import torch

import fastcv.ops as ops


def boxes_and_scores(n, seed=0):
    g = torch.Generator().manual_seed(seed)
    corner = torch.rand(n, 2, generator=g) * torch.tensor([1333.0, 800.0])
    size = (4 + 4 * torch.rand(n, 2, generator=g)).exp2()
    return torch.cat([corner, corner + size], 1), torch.rand(n, generator=g)


def torch_soft_nms(boxes, scores, method):
    index = torch.arange(len(scores), device=scores.device)
    keep, kept_scores = [], []
    while len(scores):
        best = scores.argmax()
        box = boxes[best]
        keep.append(index[best])
        kept_scores.append(scores[best])
        overlap = torch.minimum(box[2:], boxes[:, 2:]) - torch.maximum(box[:2], boxes[:, :2])
        inter = overlap.clamp(min=0).prod(1)
        area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
        iou = inter / (area[best] + area - inter)
        weight = (
            torch.where(iou > 0.3, 1 - iou, 1) if method == "linear" else (-(iou**2) / 0.5).exp()
        )
        scores = scores * weight
        scores[best] = -1
        left = scores >= 1e-3
        boxes, scores, index = boxes[left], scores[left], index[left]
    return torch.stack(keep), torch.stack(kept_scores)


@pytest.mark.parametrize("method", ["linear", "gaussian"])
@pytest.mark.parametrize("n", [1000, 5000])
def test_soft_nms(compare, method, n):
    boxes, scores = boxes_and_scores(n)
    compare(
        "soft_nms",
        f"{method}, n={n}",
        lambda: ops.soft_nms(boxes, scores, method),
        lambda: torch_soft_nms(boxes, scores, method),
        peer_name="vectorised torch",
        target=10,
    )


def test_batched_soft_nms(compare, threads):
    boxes, scores = boxes_and_scores(5000)
    idxs = torch.arange(5000) % 80

    def torch_batched():
        for c in idxs.unique():
            torch_soft_nms(boxes[idxs == c], scores[idxs == c], "gaussian")

    compare(
        "batched_soft_nms",
        "gaussian, 5000 boxes, 80 classes",
        lambda: ops.batched_soft_nms(boxes, scores, idxs, "gaussian"),
        torch_batched,
        peer_name="vectorised torch",
        target=10,
    )
