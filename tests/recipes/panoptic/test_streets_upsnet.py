"""streets_upsnet: what it takes of the detector, and how void is counted."""

import pytest
import torch
from torch import nn

from fastcv.recipes.panoptic import streets_upsnet
from fastcv.results import Panoptic

DATA = streets_upsnet.streets("val", length=12)


def test_nothing_that_tells_classes_apart_is_the_detectors():
    torch.manual_seed(1)
    model = streets_upsnet.build()
    assert model.unknown and model.classes == DATA.classes and "7" not in model.classes
    one = model.state_dict()
    torch.manual_seed(2)
    two = streets_upsnet.build().state_dict()
    same = {key for key in one if torch.equal(one[key], two[key])}
    drawn = {key for key in one if key not in same}
    heads = ("roi_heads.box_predictor.", "roi_heads.mask_", "semantic_head.")
    assert drawn and all(key.startswith(heads) for key in drawn)
    assert "roi_heads.box_predictor.cls_score.weight" in drawn
    assert {key for key in same if key.startswith(streets_upsnet.FROZEN)}


class Seer(nn.Module):
    """Finds what is there; with the unknown class, void is what it is told to be."""

    def __init__(self, void):
        super().__init__()
        self.void, self.index, self.unknown = void, 0, True

    def as_float(self, image):
        return image

    def forward(self, images):
        self.index += 1
        return DATA[self.index - 1][1]

    def postprocess(self, target):
        truth = target["panoptic"]
        ids = truth.segment_map.clone()
        ids[target["withheld"]] = 1
        if self.unknown:
            ids[self.void(target)] = 0
        labels = {segment.id: segment.label for segment in truth.segments}
        return [Panoptic.from_map(ids, labels, truth.classes, truth.things)]


@pytest.mark.parametrize(
    ("void", "of_withheld", "of_others"),
    [
        (lambda target: target["withheld"], 1, 0),
        (lambda target: ~target["withheld"], 0, 1),
        (lambda target: torch.zeros_like(target["withheld"]), 0, 0),
    ],
)
def test_void_is_counted(void, of_withheld, of_others):
    assert any(DATA[i][1]["withheld"].any() for i in range(len(DATA)))
    found = streets_upsnet.evaluate_streets(Seer(void), DATA)
    assert found["void_withheld"] == of_withheld and found["void_others"] == of_others
    assert found["PQ"] == (0 if of_others else 1)
    assert found["void_withheld_no_unknown"] == found["void_others_no_unknown"] == 0
    assert found["PQ_no_unknown"] == 1
