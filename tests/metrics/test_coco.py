"""COCO's metrics on boxes small enough to count by hand, by both evaluators."""

import sys

import pytest
import torch
from torch import nn

from fastcv.metrics import coco_metrics, evaluate_detector
from fastcv.results import Detections

CLASSES = ("background", "cat", "dog")


@pytest.fixture(params=["faster_coco_eval", "pycocotools"])
def evaluator(request, monkeypatch):
    if request.param == "pycocotools":
        monkeypatch.setitem(sys.modules, "faster_coco_eval", None)


def truth(*objects, images=1):
    """COCO's ground truth of ``(image, label, x1, y1, x2, y2)``."""
    return {
        "images": [{"id": 10 + i, "height": 200, "width": 200} for i in range(images)],
        "categories": [{"id": i, "name": CLASSES[i]} for i in (1, 2)],
        "annotations": [
            {
                "id": n,
                "image_id": 10 + image,
                "category_id": label,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
            }
            for n, (image, label, x1, y1, x2, y2) in enumerate(objects, 1)
        ],
    }


def found(*rows):
    """Detections of ``(label, score, x1, y1, x2, y2)``."""
    table = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    return Detections(table[:, 2:], table[:, 1], table[:, 0].long(), CLASSES, (200, 200))


SMALL = (0, 0, 20, 20)
LARGE = (50, 50, 150, 150)
NEARLY = (50, 50, 150, 112)  # IoU 0.62 with LARGE
NOTHING = (160, 0, 180, 20)


def test_by_hand(evaluator, capfd):
    metrics = coco_metrics(
        truth((0, 1, *SMALL), (0, 1, *LARGE)),
        [found((1, 0.9, *SMALL), (1, 0.8, *NOTHING), (1, 0.7, *NEARLY))],
    )
    # Precision at the 101 levels of recall 0, 0.01, ... 1. Up to IoU 0.6 both objects are found:
    # precision 1 up to recall 0.5 (51 levels), then 2 right of 3 (50 levels). Above, one is.
    loose, strict = (51 + 50 * 2 / 3) / 101, 51 / 101
    want = {
        "AP": (3 * loose + 7 * strict) / 10,
        "AP50": loose,
        "AP75": strict,
        "APs": 1.0,  # NEARLY is not small; NOTHING is, but comes after the only small object
        "APl": 0.3,
        "AR1": 0.5,
        "AR10": (3 * 1 + 7 * 0.5) / 10,
        "AR100": (3 * 1 + 7 * 0.5) / 10,
        "ARs": 1.0,
        "ARl": 0.3,
    }
    by_class = metrics.pop("AP50_by_class")
    assert metrics == pytest.approx(want, abs=1e-6)  # evaluators store some in float32
    assert by_class == pytest.approx({"cat": loose}, abs=1e-6)
    assert capfd.readouterr().out == ""


def test_mean_over_classes_and_images(evaluator):
    objects = truth((0, 1, *SMALL), (1, 1, *SMALL), (1, 2, *LARGE), images=2)
    # cat: 1 of 2, none wrong; dog: found, but called a cat, surer than the cat.
    images = [found((1, 0.5, *SMALL)), found((1, 0.9, *LARGE))]
    metrics = coco_metrics(objects, images)
    # The first is wrong, the second right: precision 1/2 up to recall 1/2.
    cat = 51 / 101 / 2
    assert metrics["AP50_by_class"] == pytest.approx({"cat": cat, "dog": 0.0})
    assert metrics["AP50"] == pytest.approx(cat / 2)
    # Two times: the evaluators write into what they are given, which must be a copy.
    assert coco_metrics(objects, images) == metrics


def test_no_detections_are_zeros(evaluator):
    metrics = coco_metrics(truth((0, 1, *SMALL), images=2), [found(), found()])
    assert metrics.pop("AP50_by_class") == {"cat": 0.0}
    assert set(metrics) == {"AP", "AP50", "AP75", "APs", "AR1", "AR10", "AR100", "ARs"}
    assert set(metrics.values()) == {0.0}


def test_masks(evaluator):
    def rle(*runs):
        return {"size": [200, 200], "counts": list(runs)}  # columns first

    class Masks:
        def to_coco(self, image_id):
            mask = mask_api.encode(half)
            return [{"image_id": image_id, "category_id": 1, "segmentation": mask, "score": 0.9}]

    import numpy as np
    from pycocotools import mask as mask_api

    half = np.zeros((200, 200), np.uint8, order="F")
    half[:, :70] = 1
    objects = truth((0, 1, 0, 0, 100, 200))
    objects["annotations"][0]["segmentation"] = rle(0, 20000, 20000)  # the left half: IoU 0.7
    metrics = coco_metrics(objects, [Masks()], iou_type="segm")
    assert metrics["AP"] == pytest.approx(0.5) and metrics["AP50"] == pytest.approx(1.0)


class Scenes:
    """Three images of one object each, and how often each was read."""

    classes = CLASSES
    boxes = ((1, *SMALL), (2, *LARGE), (1, *LARGE))

    def __init__(self):
        self.read = []

    def __len__(self):
        return 3

    def __getitem__(self, index):
        self.read.append(index)
        label, *box = self.boxes[index]
        target = {
            "boxes": torch.tensor([box], dtype=torch.float32),
            "labels": torch.tensor([label]),
            "image_id": 10 * index,
            "masks": torch.zeros(1, 200, 200, dtype=torch.bool),
        }
        return torch.full((3, 200, 200), index / 10), target


class KnowsAll(nn.Module):
    """Finds what is there, in each image by its grey, but in the last one."""

    def predict(self, images, batch_size, score=0.9):
        self.batches = [*getattr(self, "batches", []), len(images)]
        whats = [round(float(image.mean()) * 10) for image in images]
        label = [Scenes.boxes[what][0] for what in whats]
        return [
            found() if what == 2 else found((label, score, *Scenes.boxes[what][1:]))
            for what, label in zip(whats, label, strict=True)
        ]


def test_evaluate_detector():
    data, model = Scenes(), KnowsAll()
    metrics = evaluate_detector(model, data, batch_size=2, score=0.8)
    assert metrics["AP50_by_class"] == pytest.approx({"cat": 51 / 101, "dog": 1.0})
    assert data.read == [0, 1, 2] and model.batches == [2, 1]
    assert coco_metrics(Scenes(), model.predict([data[i][0] for i in range(3)], 3)) == metrics


def test_errors(evaluator):
    with pytest.raises(ValueError, match="one result for each of the 2 images, got 1"):
        coco_metrics(truth((0, 1, *SMALL), images=2), [found()])
    with pytest.raises(ValueError, match="the ground truth has no objects to find"):
        coco_metrics(truth(), [found((1, 0.9, *SMALL))])


def test_error_without_evaluators(monkeypatch):
    for name in ("faster_coco_eval", "pycocotools", "pycocotools.coco"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=r"pip install 'fastcv\[data\]'"):
        coco_metrics(truth((0, 1, *SMALL)), [found()])


@pytest.mark.parametrize("ids", [(0, 1), (0, 0), (7, 7), (None, None), ("a", "b"), ()])
@pytest.mark.parametrize("lacks", [(), ("area",), ("iscrowd",), ("area", "iscrowd")])
def test_ids_areas_and_crowds_that_are_missing(evaluator, recwarn, ids, lacks):
    objects = truth((0, 1, *SMALL), (0, 1, *LARGE), (1, 2, *LARGE), images=2)
    want = coco_metrics(objects, images := [found((1, 0.9, *SMALL)), found((2, 0.9, *LARGE))])
    for annotation in objects["annotations"]:
        del annotation["id"]
        for key in lacks:
            del annotation[key]
    for annotation, id in zip(objects["annotations"], ids, strict=False):
        annotation["id"] = id
    before = [dict(annotation) for annotation in objects["annotations"]]
    assert coco_metrics(objects, images) == want
    assert objects["annotations"] == before
    assert want["AP50_by_class"]["dog"] == pytest.approx(1.0)
    for annotation in objects["annotations"]:
        annotation |= {"area": None, "iscrowd": None}
    assert coco_metrics(objects, images) == want
    assert not [w for w in recwarn if w.category is UserWarning]


def test_ids_that_are_keys(evaluator):
    objects = truth((0, 1, *SMALL))
    objects["categories"][0]["id"] = objects["annotations"][0]["category_id"] = 1_000_000_007
    objects["images"][0]["id"] = objects["annotations"][0]["image_id"] = 123_456_789_012
    boxes = torch.tensor([SMALL], dtype=torch.float32)

    class Found:
        def to_coco(self, image_id):
            box = {"bbox": [*boxes[0].tolist()], "score": 0.9}
            return [{"image_id": image_id, "category_id": 1_000_000_007} | box]

    assert coco_metrics(objects, [Found()])["AP"] == pytest.approx(1.0)


class Whole:
    """Finds the left 20 columns."""

    def to_coco(self, image_id):
        import numpy as np
        from pycocotools import mask

        pixels = np.zeros((200, 200), np.uint8, order="F")
        pixels[:, :20] = 1
        row = {"image_id": image_id, "category_id": 1, "score": 0.9}
        return [row | {"segmentation": mask.encode(pixels)}]


def test_masks_without_areas_and_polygons_of_two_points(evaluator):
    objects = truth((0, 1, 0, 0, 20, 200), (0, 1, 0, 0, 20, 200))
    square = [0, 0, 20, 0, 20, 200, 0, 200]
    first, slip = objects["annotations"]
    first |= {"id": 0, "segmentation": [[40, 5, 50, 30], square]}
    slip |= {"id": 0, "segmentation": [[40, 5, 50, 30]]}  # no object
    del first["area"], first["bbox"]
    metrics = coco_metrics(objects, [Whole()], iou_type="segm")
    assert metrics["AP"] == pytest.approx(1.0)
    assert metrics["APm"] == pytest.approx(1.0)  # 4000 pixels
    slip["segmentation"] = []
    with pytest.raises(ValueError, match="annotation 1 of the ground truth has no segmentation"):
        coco_metrics(objects, [Whole()], iou_type="segm")
    with pytest.raises(ValueError, match="annotation 0 of the ground truth has no bbox"):
        coco_metrics(objects, [Whole()])
