"""COCO's metrics of masks and keypoints: by hand, and as pycocotools itself has them."""

import contextlib
import io
import math

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from fastcv.classes import DIGIT_KEYPOINTS, KeypointSchema
from fastcv.data import DrawnDigits, detection_to_coco
from fastcv.metrics import coco_metrics, evaluate_instances, evaluate_keypoints
from fastcv.results import Instances, Keypoints

SCENES = DrawnDigits("val", length=6, size=(96, 96))


def disturbed_masks(target, size, generator):
    """Masks moved by up to three pixels."""
    moves = torch.randint(-3, 4, (len(target["masks"]), 2), generator=generator).tolist()
    moved = [m.roll(tuple(s), (0, 1)) for m, s in zip(target["masks"], moves, strict=True)]
    return Instances(
        target["boxes"],
        torch.rand(len(moved), generator=generator),
        target["labels"],
        SCENES.classes,
        size,
        masks=torch.stack(moved),
    )


def disturbed_keypoints(target, size, generator):
    """Keypoints moved by up to three pixels."""
    keypoints = target["keypoints"].clone()
    keypoints[..., :2] += 6 * torch.rand(keypoints[..., :2].shape, generator=generator) - 3
    return Keypoints(
        target["boxes"],
        torch.rand(len(keypoints), generator=generator),
        target["labels"],
        SCENES.classes,
        size,
        keypoints=keypoints,
        keypoint_scores=torch.ones(keypoints.shape[:2]),
        schema=DIGIT_KEYPOINTS,
    )


@pytest.mark.parametrize("iou_type", ["segm", "keypoints"])
def test_as_pycocotools(iou_type):
    generator = torch.Generator().manual_seed(0)
    disturb = disturbed_masks if iou_type == "segm" else disturbed_keypoints
    found = [disturb(target, image.shape[1:], generator) for image, target in SCENES]
    truth = detection_to_coco(SCENES, masks=True)
    sigmas = DIGIT_KEYPOINTS.sigmas
    ours = coco_metrics(truth, found, iou_type=iou_type, sigmas=sigmas)

    needed = {"segm": "segmentation", "keypoints": "keypoints"}[iou_type]
    rows = [
        {key: row[key] for key in ("image_id", "category_id", "score", needed)}
        for image, result in zip(truth["images"], found, strict=True)
        for row in result.to_coco(image["id"])
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        expected = COCO()
        expected.dataset = truth
        expected.createIndex()
        evaluation = COCOeval(expected, expected.loadRes(rows), iou_type)
        if iou_type == "keypoints":
            evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    names = "AP AP50 AP75 APs APm" if iou_type == "segm" else "AP AP50 AP75 APm APl AR AR50 AR75"
    stats = dict(zip(names.split(), evaluation.stats, strict=False))
    compared = {name: value for name, value in stats.items() if value >= 0}
    assert len(compared) >= 4 and 0.05 < compared["AP"] < 0.95
    for name, value in compared.items():
        assert ours[name] == pytest.approx(value), name


def test_oks_by_hand():
    """One object of area 400 and one keypoint, at a distance for an OKS of 0.82: 7 of 10 levels."""
    schema = KeypointSchema(("tip",), sigmas=0.1)
    distance = math.sqrt(-math.log(0.82) * 2 * 400 * (2 * 0.1) ** 2)
    truth = {
        "images": [{"id": 1, "height": 100, "width": 100}],
        "categories": [{"id": 1, "name": "pin"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [10, 10, 40, 40], "area": 400,
             "keypoints": [20, 20, 2]},
        ],
    }  # fmt: skip
    found = Keypoints(
        torch.tensor([[10.0, 10, 50, 50]]),
        torch.tensor([0.9]),
        torch.tensor([1]),
        ("background", "pin"),
        (100, 100),
        keypoints=torch.tensor([[[20 + distance, 20.0, 1.0]]]),
        keypoint_scores=torch.ones(1, 1),
        schema=schema,
    )
    metrics = coco_metrics(truth, [found], iou_type="keypoints", sigmas=schema.sigmas)
    assert metrics["AP"] == pytest.approx(0.7) and metrics["AP50_by_class"] == {"pin": 1.0}
    with pytest.raises(ValueError, match="sigmas must be one for each of the 1 keypoints, got 17"):
        coco_metrics(truth, [found], iou_type="keypoints")
    with pytest.raises(ValueError, match="iou_type must be one of bbox, segm, keypoints, got 'x'"):
        coco_metrics(truth, [found], iou_type="x")


class Knows:
    """A model that finds what is there."""

    schema = DIGIT_KEYPOINTS

    def __init__(self, disturb):
        self.disturb, self.at = disturb, 0

    def predict(self, images, *, batch_size):
        generator = torch.Generator().manual_seed(0)
        found = []
        for image in images:
            _, target = SCENES[self.at]
            self.at += 1
            found.append(self.disturb(target, tuple(image.shape[1:]), generator))
        return found


def test_evaluating_goes_through_a_data_set_once():
    metrics = evaluate_instances(Knows(disturbed_masks), SCENES, batch_size=4)
    assert 0.05 < metrics["AP"] < 0.95 and metrics["box_AP"] == pytest.approx(1)
    metrics = evaluate_keypoints(Knows(disturbed_keypoints), SCENES, batch_size=4)
    assert 0.05 < metrics["AP"] < 0.95 and metrics["box_AP"] == pytest.approx(1)


class WithoutPoints(list):
    classes = SCENES.classes


def test_data_without_what_is_compared():
    bare = WithoutPoints(
        (image, {k: v for k, v in target.items() if k not in ("masks", "keypoints")})
        for image, target in [SCENES[0]]
    )
    with pytest.raises(ValueError, match="must have the 5 keypoints of the model, they have 0"):
        evaluate_keypoints(Knows(disturbed_keypoints), bare)
    with pytest.raises(ValueError, match="masks=True needs targets with masks, image 0 has none"):
        evaluate_instances(Knows(disturbed_masks), bare)
