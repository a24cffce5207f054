"""fast_nms against YOLACT's: a matrix of all pairs for each class, in torch."""

import torch
from made_boxes import spread

import fastcv.ops as ops


def torch_fast_nms(boxes, scores, iou_threshold, top_k):
    scores, order = scores.sort(dim=1, descending=True)
    scores, order = scores[:, :top_k], order[:, :top_k]
    best = boxes[order]
    low = torch.maximum(best[:, :, None, :2], best[:, None, :, :2])
    high = torch.minimum(best[:, :, None, 2:], best[:, None, :, 2:])
    inter = (high - low).clamp(min=0).prod(-1)
    area = (best[..., 2:] - best[..., :2]).prod(-1)
    iou = inter / (area[:, :, None] + area[:, None] - inter)
    keep = iou.triu_(diagonal=1).amax(1) <= iou_threshold
    labels = torch.arange(len(scores), device=boxes.device)[:, None].expand_as(keep)
    by_score = scores[keep].sort(descending=True).indices
    return order[keep][by_score], labels[keep][by_score]


def test_fast_nms(compare, threads):
    boxes, _ = spread(200, extent=500)
    scores = torch.rand(80, 200, generator=torch.Generator().manual_seed(0))
    pairs = [f(boxes, scores, 0.5, 200) for f in (ops.fast_nms, torch_fast_nms)]
    ours, theirs = ({*zip(*(t.tolist() for t in pair), strict=True)} for pair in pairs)
    assert ours == theirs  # in any order where scores are equal
    compare(
        "fast_nms",
        "80 classes, 200 boxes",
        lambda: ops.fast_nms(boxes, scores, 0.5, 200),
        lambda: torch_fast_nms(boxes, scores, 0.5, 200),
        peer_name="vectorised torch",
        target=5,
    )
