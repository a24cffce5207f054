"""Targets as COCO's ground truth: read back by our reader and scored by pycocotools."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from fastcv.data import CocoDetection, DrawnDigits, detection_to_coco

DIGITS = DrawnDigits("val", size=(96, 112), digit_size=(20, 40), length=4)


class Boxes:
    """One image with one box, and only what a target must have."""

    classes = ("background", "cat", "(unused)", "dog")

    def __init__(self, image_ids=(4,)):
        self.image_ids = image_ids

    def __len__(self):
        return len(self.image_ids)

    def __getitem__(self, index):
        target = {
            "boxes": torch.tensor([[1.0, 2.0, 4.0, 8.0]]),
            "labels": torch.tensor([3]),
            "image_id": self.image_ids[index],
        }
        return torch.zeros(3, 9, 7), target


def test_a_target_with_boxes_alone():
    assert detection_to_coco(Boxes()) == {
        "images": [{"id": 4, "height": 9, "width": 7}],
        "annotations": [
            {
                "id": 1,
                "image_id": 4,
                "category_id": 3,
                "bbox": [1.0, 2.0, 3.0, 6.0],
                "area": 18.0,
                "iscrowd": 0,
            }
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 3, "name": "dog"}],
    }


def test_there_and_back(tmp_path):
    truth = detection_to_coco(DIGITS, masks=True)
    for entry, (image, _) in zip(truth["images"], DIGITS, strict=True):
        entry["file_name"] = f"{entry['id']}.png"
        pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(tmp_path / entry["file_name"])
    (tmp_path / "x.json").write_text(json.dumps(truth))
    back = CocoDetection(tmp_path, tmp_path / "x.json", masks=True)
    assert back.classes == DIGITS.classes and back.keypoint_names == DIGITS.keypoint_names
    for (image, target), (read, again) in zip(DIGITS, back, strict=True):
        torch.testing.assert_close(read, image, rtol=0, atol=0.5 / 255 + 1e-6)
        assert again.keys() == target.keys()
        for key, value in target.items():
            assert torch.equal(torch.as_tensor(again[key]), torch.as_tensor(value)), key


@pytest.mark.parametrize("kind", ["bbox", "segm"])
def test_pycocotools_scores_the_truth_itself_as_perfect(kind, capsys):
    truth = detection_to_coco(DIGITS, masks=True)
    coco = COCO()
    coco.dataset = truth
    coco.createIndex()
    results = coco.loadRes([a | {"score": 0.9} for a in truth["annotations"]])
    evaluation = COCOeval(coco, results, kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    np.testing.assert_allclose(evaluation.stats[0], 1.0)


def test_errors():
    with pytest.raises(ValueError, match="masks=True needs targets with masks, image 4 has none"):
        detection_to_coco(Boxes(), masks=True)
    with pytest.raises(ValueError, match="several images with the same image_id"):
        detection_to_coco(Boxes((4, 4)))
