"""IoU, accuracies and boundary F from their definitions."""

import math

import pytest
import torch
from sklearn.metrics import accuracy_score, confusion_matrix, jaccard_score, recall_score

from fastcv.metrics import SegmentationMetrics, evaluate_segmenter
from fastcv.models import create_model
from fastcv.models.segmentation._segmenter import Segmenter


def blobs(seed, size=(24, 31), classes=4, cell=6):
    """Label maps of patches, so that there are regions and not noise."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(classes, [-(-n // cell) for n in size], generator=generator)
    return coarse.repeat_interleave(cell, 0).repeat_interleave(cell, 1)[: size[0], : size[1]]


def measure(labels, targets, classes=4):
    metrics = SegmentationMetrics(classes)
    metrics.add(labels, targets)
    return metrics.compute()


def test_by_hand():
    found = measure(torch.tensor([[0, 0, 1, 1, 1]]), torch.tensor([[0, 1, 1, 1, 255]]), classes=3)
    assert found["iou_by_class"] == pytest.approx([1 / 2, 2 / 3, None])
    assert found["miou"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found["pixel_acc"] == 0.75
    assert found["acc_by_class"] == pytest.approx([1, 2 / 3, None])
    assert found["mean_acc"] == pytest.approx(5 / 6)
    assert found["fw_iou"] == pytest.approx((1 * 1 / 2 + 3 * 2 / 3) / 4)
    assert found["confusion"] == [[1, 0, 0], [1, 2, 0], [0, 0, 0]]


def test_against_scikit_learn_in_any_batches():
    labels, targets = (torch.stack([blobs(k + seed) for k in range(6)]) for seed in (0, 4))
    labels[:, 3:5] = 3
    targets[0, :, 7] = 255
    counts = targets != 255
    predicted, true = labels[counts].numpy(), targets[counts].numpy()
    found = []
    for batch in (6, 1, 4):
        metrics = SegmentationMetrics(4)
        for start in range(0, 6, batch):
            metrics.add(labels[start : start + batch], targets[start : start + batch])
        found.append(metrics.compute())
    assert found[0]["confusion"] == confusion_matrix(true, predicted).tolist()
    assert found[0]["iou_by_class"] == pytest.approx(jaccard_score(true, predicted, average=None))
    assert found[0]["miou"] == pytest.approx(jaccard_score(true, predicted, average="macro"))
    assert found[0]["fw_iou"] == pytest.approx(jaccard_score(true, predicted, average="weighted"))
    assert found[0]["pixel_acc"] == pytest.approx(accuracy_score(true, predicted))
    assert found[0]["mean_acc"] == pytest.approx(recall_score(true, predicted, average="macro"))
    for other in found[1:]:
        assert other["boundary_f_by_class"] == pytest.approx(found[0]["boundary_f_by_class"])
        assert other["boundary_f"] == pytest.approx(found[0]["boundary_f"])
        assert other["confusion"] == found[0]["confusion"]


# Boundaries.


def slow_boundary(labels, c):
    """The pixels of a class that have another one beside them, by looking at each."""
    height, width = labels.shape
    rows = labels.tolist()
    found = []
    for y in range(height):
        for x in range(width):
            beside = [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
            others = [rows[i][j] for i, j in beside if 0 <= i < height and 0 <= j < width]
            if rows[y][x] == c and any(k not in (c, 255) for k in others):
                found.append((y, x))
    return found


def slow_f(labels, targets, c):
    labels = labels.where(targets != 255, 255)
    predicted, true = slow_boundary(labels, c), slow_boundary(targets, c)
    if not predicted and not true:
        return None
    limit = 0.0075 * math.hypot(*labels.shape)

    def share(points, others):
        near = [any(math.dist(p, q) <= limit for q in others) for p in points]
        return sum(near) / len(near) if near else 0.0

    p, r = share(predicted, true), share(true, predicted)
    return 2 * p * r / (p + r) if p + r else 0.0


@pytest.mark.parametrize("size", [(24, 31), (9, 270), (90, 260)])  # 0.3, 2.03 and 2.06 pixels
def test_boundary_f_against_all_pairs(size):
    targets = blobs(0, size, cell=40)
    labels = targets.roll((1, -1), (0, 1))
    labels[3:7, 5:12] = 2
    targets[:, 20:23] = 255
    expected = [slow_f(labels, targets, c) for c in range(4)]
    found = measure(labels, targets)
    assert found["boundary_f_by_class"] == pytest.approx(expected)
    there = [f for f in expected if f is not None]
    assert found["boundary_f"] == pytest.approx(sum(there) / len(there))


def test_the_tolerance_is_a_distance():
    """A border moved by so many pixels, in an image with a diagonal of 500: 3.75 pixels."""
    targets = torch.zeros(300, 400, dtype=torch.int64)
    targets[:, 200:] = 1
    for moved, f in [(0, 1.0), (3, 1.0), (4, 0.0)]:
        assert measure(targets.roll(moved, 1)[:, 10:], targets[:, 10:])["boundary_f"] == f


def test_boundaries_that_only_one_has():
    flat, split = torch.zeros(20, 20, dtype=torch.int64), torch.eye(20, dtype=torch.int64)
    assert measure(flat, flat)["boundary_f"] is None
    assert measure(flat, flat)["boundary_f_by_class"] == [None] * 4
    assert measure(split, flat)["boundary_f_by_class"] == [0, 0, None, None]
    assert measure(flat, split)["boundary_f"] == 0


def test_an_image_counts_once_however_many_classes_it_has():
    split = torch.zeros(20, 20, dtype=torch.int64)
    split[10:] = 1
    four = blobs(1, (20, 20))
    metrics = SegmentationMetrics(4)
    metrics.add(split, split)
    metrics.add(torch.zeros_like(four), four)
    assert metrics.compute()["boundary_f"] == 0.5


def test_a_finer_border_is_a_better_one():
    """What IoU hardly sees: a coarse border against an exact one."""
    y, x = torch.meshgrid(torch.arange(300), torch.arange(300), indexing="ij")
    disk = ((y - 150) ** 2 + (x - 150) ** 2 < 90**2).long()
    coarse = disk[8::16, 8::16].repeat_interleave(16, 0).repeat_interleave(16, 1)[:300, :300]
    found = measure(coarse, disk)
    assert found["miou"] > 0.9 and found["boundary_f"] < 0.8
    assert measure(disk, disk)["boundary_f"] == 1


# On a model.


class Says(Segmenter):
    """Reads the classes off the red channel."""

    classes = ("wall", "door", "sky")

    def __init__(self):
        super().__init__()
        self.preprocessing = {"mean": (0.0,) * 3, "std": (1.0,) * 3}

    def forward(self, images):
        return -(images[:, :1] - torch.tensor([0.0, 0.5, 1.0])[:, None, None]).abs()


def test_evaluate_segmenter():
    data = []
    for seed, size in enumerate([(10, 12), (24, 31)]):
        targets = blobs(seed, size, classes=3)
        data.append(((targets / 2).expand(3, *size), targets))
    assert evaluate_segmenter(Says(), data)["miou"] == 1
    data[0][1][:] = 255
    data[1][1][:] = 1  # whatever the picture shows
    share = (data[1][0][0] == 0.5).float().mean().item()
    assert 0 < share < 1 and evaluate_segmenter(Says(), data)["pixel_acc"] == pytest.approx(share)


def test_a_classifier_is_no_segmenter():
    model = create_model("resnet18", num_classes=2, width=8)
    with pytest.raises(ValueError, match="must be a segmenter: ResNet gives Classification"):
        evaluate_segmenter(model, [(torch.rand(3, 32, 32), torch.zeros(32, 32))])


def test_errors():
    metrics = SegmentationMetrics(3)
    with pytest.raises(ValueError, match="no pixels"):
        metrics.compute()
    flat = torch.zeros(4, 5, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"alike, got \[4, 5\] and \[5, 4\]"):
        metrics.add(flat, flat.T)
    with pytest.raises(ValueError, match="labels must be 0 to 2, got 3 to 3"):
        metrics.add(flat + 3, flat)
    with pytest.raises(ValueError, match="targets must be 0 to 2, got -1 to -1"):
        metrics.add(flat, flat - 1)
    metrics.add(flat + 3, flat + 255)  # where no pixel counts, what was said does not matter
    with pytest.raises(ValueError, match="no pixels"):
        metrics.compute()
