"""Groups of batched NMS as numbers of any kind: equal numbers are one group."""

import pytest
import torch

from fastcv.ops import batched_nms, batched_nms_rotated, batched_soft_nms

NAN = float("nan")


def detections(n, columns):
    g = torch.Generator().manual_seed(0)
    boxes = torch.rand(n, columns, generator=g) * 20 + 5
    if columns == 4:
        boxes[:, 2:] += boxes[:, :2]
    return boxes, torch.rand(n, generator=g)


def kept(op, boxes, scores, ids):
    keep = op(boxes, scores, ids, iou_threshold=0.3)
    return keep[0] if isinstance(keep, tuple) else keep


@pytest.mark.parametrize("op", [batched_nms, batched_soft_nms, batched_nms_rotated])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize(
    "values, groups",
    [
        ([0.0, 1.0, 2.0], [0, 1, 2]),
        ([0.25, 0.5, -1.5], [0, 1, 2]),
        ([0.0, -0.0, 1.0], [0, 0, 1]),
        ([NAN, NAN, float("inf")], [0, 0, 1]),
        ([1e-4, 1e4, -1e4], [0, 1, 2]),
    ],
)
def test_floats(device, op, dtype, values, groups):
    boxes, scores = detections(120, 5 if op is batched_nms_rotated else 4)
    which = torch.arange(120) % 3
    ids = torch.tensor(values, dtype=dtype)[which].to(device)
    want = kept(op, boxes.to(device), scores.to(device), torch.tensor(groups)[which].to(device))
    assert torch.equal(kept(op, boxes.to(device), scores.to(device), ids), want)
    assert torch.equal(kept(op, boxes.to(device), scores.to(device), ids[:, None].squeeze(1)), want)


def test_nearby_floats_are_other_groups(device):
    boxes = torch.tensor([[0.0, 0, 9, 9]] * 3, device=device)
    one = torch.tensor(1.0, dtype=torch.float64)
    ids = torch.stack([one, torch.nextafter(one, one + 1), one]).to(device)
    assert batched_nms(boxes, torch.tensor([0.9, 0.8, 0.7], device=device), ids, 0.5).tolist() == [
        0,
        1,
    ]


def test_a_column_of_detections(device):
    rows = torch.tensor([[0.0, 0, 9, 9, 0.9, 2], [0, 0, 9, 8, 0.8, 2], [0, 0, 9, 9, 0.7, 1]])
    rows = rows.to(device)
    assert batched_nms(rows[:, :4], rows[:, 4], rows[:, 5], 0.5).tolist() == [0, 2]
    nothing = rows[:0]
    assert batched_nms(nothing[:, :4], nothing[:, 4], nothing[:, 5], 0.5).shape == (0,)


def test_nothing_at_all(device):
    empty = torch.tensor([], device=device)
    keep = batched_nms(empty, empty, empty, 0.5)
    assert keep.shape == (0,) and keep.dtype == torch.int64


def test_compiles(device):
    boxes, scores = detections(20, 4)
    boxes, scores = boxes.to(device), scores.to(device)
    ids = (torch.arange(20, device=device) % 3).float()
    compiled = torch.compile(batched_nms, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(boxes, scores, ids, 0.3), batched_nms(boxes, scores, ids, 0.3))
