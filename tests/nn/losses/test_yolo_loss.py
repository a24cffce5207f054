"""YOLO's loss: by hand, by the paper's double sum, and which box answers for an object."""

import math

import pytest
import torch

from fastcv.nn.losses.yolo_loss import CellPredictions, YOLOLoss

S, B, C = 3, 2, 4
NONE = (torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4))


def blank(images=1):
    return CellPredictions(
        torch.zeros(images, S, S, B, 4), torch.zeros(images, S, S, B), torch.zeros(images, S, S, C)
    )


def test_by_hand():
    """One object at the centre: in cell (1, 1), at (0.5, 0.5) of it, sides 0.36 and 0.16."""
    predicted = blank()
    predicted.boxes[0, 1, 1, 0] = torch.tensor([0.5, 0.5, 0.6, 0.2])  # sides 0.36 and 0.04: IoU 1/4
    predicted.boxes[0, 1, 1, 1] = torch.tensor([0.8, 0.4, 0.5, 0.5])  # sides 0.25 and 0.25
    predicted.confidence[0, 1, 1] = torch.tensor([0.3, 0.7])
    predicted.confidence[0, 2, 0, 1] = 0.4
    predicted.classes[0, 1, 1] = torch.tensor([0.1, 0.8, 0.0, 0.2])
    predicted.classes[0, 0, 0] = 9.0  # a cell without an object may say any class
    objects = [(torch.tensor([1]), torch.tensor([[0.5, 0.5, 0.36, 0.16]]))]
    losses = YOLOLoss()(predicted, objects)
    # The second box: centre (1.8 / 3, 1.4 / 3) = (0.6, 0.46667), from 0.475 to 0.725 and from
    # 0.34167 to 0.59167; the object from 0.32 to 0.68 and from 0.42 to 0.58.
    inter = (0.68 - 0.475) * (0.58 - 0.42)
    iou = inter / (0.36 * 0.16 + 0.25 * 0.25 - inter)
    assert iou > 0.25  # so it answers
    want = {
        "loss_xy": 5 * (0.3**2 + 0.1**2),
        "loss_wh": 5 * ((0.5 - 0.6) ** 2 + (0.5 - 0.4) ** 2),
        "loss_object": (0.7 - iou) ** 2,
        "loss_no_object": 0.5 * (0.3**2 + 0.4**2),
        "loss_class": 0.1**2 + 0.2**2 + 0.2**2,
    }
    assert {name: term.item() for name, term in losses.items()} == pytest.approx(want, rel=1e-5)


def by_the_papers_sum(predicted, objects):
    """Equation 3 as it stands: over all cells and boxes, with its indicators."""
    terms = dict.fromkeys(
        ("loss_xy", "loss_wh", "loss_object", "loss_no_object", "loss_class"), 0.0
    )
    for n, (labels, boxes) in enumerate(objects):
        for row in range(S):
            for column in range(S):
                here = [
                    k
                    for k, (x, y, _, _) in enumerate(boxes.tolist())
                    if int(y * S) == row and int(x * S) == column
                ]
                truth = boxes[here[0]].tolist() if here else None
                ious, found = [], predicted.boxes[n, row, column].tolist()
                for x, y, w, h in found if here else []:
                    box = ((column + x) / S, (row + y) / S, w * w, h * h)
                    ious.append(iou_of(box, truth))
                best = max(range(B), key=lambda j: ious[j]) if here else None
                for j in range(B):
                    confidence = predicted.confidence[n, row, column, j].item()
                    if j != best:
                        terms["loss_no_object"] += 0.5 * confidence**2
                        continue
                    assert ious[j] > 0
                    x, y, w, h = found[j]
                    terms["loss_xy"] += 5 * (x - (truth[0] * S - column)) ** 2
                    terms["loss_xy"] += 5 * (y - (truth[1] * S - row)) ** 2
                    terms["loss_wh"] += 5 * (w - math.sqrt(truth[2])) ** 2
                    terms["loss_wh"] += 5 * (h - math.sqrt(truth[3])) ** 2
                    terms["loss_object"] += (confidence - ious[j]) ** 2
                for c in range(C) if here else ():
                    expected = float(labels[here[0]] == c)
                    terms["loss_class"] += (
                        predicted.classes[n, row, column, c].item() - expected
                    ) ** 2
    return {name: term / len(objects) for name, term in terms.items()}


def iou_of(a, b):
    sides = []
    for i in (0, 1):
        low = max(a[i] - a[i + 2] / 2, b[i] - b[i + 2] / 2)
        sides.append(max(min(a[i] + a[i + 2] / 2, b[i] + b[i + 2] / 2) - low, 0.0))
    inter = sides[0] * sides[1]
    return inter / (a[2] * a[3] + b[2] * b[3] - inter)


def test_is_the_papers_sum():
    g = torch.Generator().manual_seed(0)
    predicted = CellPredictions(
        torch.rand(3, S, S, B, 4, generator=g) * 0.5 + 0.25,
        torch.rand(3, S, S, B, generator=g),
        torch.rand(3, S, S, C, generator=g),
    )
    objects = [
        (
            torch.tensor([0, 3, 2]),
            # The third one's centre is in the second one's cell.
            torch.tensor([[0.2, 0.3, 0.3, 0.4], [0.8, 0.8, 0.3, 0.2], [0.7, 0.9, 0.2, 0.2]]),
        ),
        NONE,
        (torch.tensor([1]), torch.tensor([[0.5, 0.1, 0.6, 0.2]])),
    ]
    losses = YOLOLoss()(predicted, objects)
    want = by_the_papers_sum(predicted, objects)
    assert {name: term.item() for name, term in losses.items()} == pytest.approx(want, rel=1e-5)


def test_where_nothing_overlaps_the_nearest_answers():
    predicted = blank()
    predicted.boxes[0, 0, 0, 1, 2:] = (
        0.1  # a small box at the cell's corner, and one without a size
    )
    objects = [(torch.tensor([0]), torch.tensor([[0.3, 0.3, 0.04, 0.04]]))]
    found = YOLOLoss().responsible(predicted, objects)
    assert (found.row.item(), found.column.item(), found.box.item()) == (0, 0, 1)
    assert found.iou.item() == 0


def test_the_last_row_and_column():
    """A centre on the image's edge belongs to the last cell."""
    objects = [(torch.tensor([0]), torch.tensor([[1.0, 1.0, 0.2, 0.2]]))]
    found = YOLOLoss().responsible(blank(), objects)
    assert (found.row.item(), found.column.item()) == (S - 1, S - 1)


def test_the_confidences_target_has_no_gradient():
    predicted = blank()
    predicted.boxes[..., 2:] = 0.5
    predicted.boxes.requires_grad_()
    loss = YOLOLoss()(predicted, [(torch.tensor([0]), torch.tensor([[0.5, 0.5, 0.2, 0.2]]))])
    assert not loss["loss_object"].requires_grad


def test_no_objects_at_all():
    losses = YOLOLoss()(blank(2), [NONE, NONE])
    assert all(term == 0 for term in losses.values())
