"""Pictures that are too small for a model's layers: it runs, or says so in a sentence of ours."""

import traceback

import pytest
import torch
from small_models import SMALL, make_small

from fastcv.models import Model
from fastcv.models._registry import find_model

NAMES = (
    *("resnet18", "resnet50_dcnv2", "densenet121", "mobilenet_v2", "efficientnet", "vgg16_cam"),
    *("scouter_resnet18", "lenet5", "unet", "unet_paper", "fcn32s_vgg16", "fcn_resnet50"),
    *("deeplabv2_resnet101", "deeplabv3_resnet50", "deeplabv3plus_resnet50"),
)


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_or_says_so(name):
    model = make_small(name).train()
    for side in (1, 8, 33):
        for count in (1, 2):
            images = torch.rand(count, SMALL[name].shape[0], side, side)
            labels = (side, side) if find_model(name).task == "segmentation" else ()
            try:
                with torch.no_grad():
                    losses = model.loss(model(images), torch.zeros(count, *labels).long())
            except ValueError as error:
                where = traceback.extract_tb(error.__traceback__)[-1].filename
                assert "fastcv" in where and "\n" not in str(error)
                assert str(side) in str(error)  # what it was given
            else:
                assert sum(losses.values()).isfinite()


class Norms(Model):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(2)

    def forward(self, inputs):
        if isinstance(inputs, str):
            raise ValueError(inputs)
        return self.norm(torch.stack(list(inputs)))


def test_the_sentence_says_what_was_given():
    end = "and one value has no spread: take larger pictures or crops, or more of them in a batch"
    for inputs, words in (
        ([torch.zeros(2)], "these pictures (1 at a time)"),
        (torch.zeros(1, 2), "these pictures"),
    ):
        with pytest.raises(ValueError) as error:
            Norms()(inputs)
        assert str(error.value) == (
            f"a norm is left with one value of each channel in {words}, {end}"
        )
        assert str(error.value.__cause__).startswith("Expected more than 1 value")
    assert Norms()([torch.zeros(2)] * 2).shape == (2, 2)
    with pytest.raises(ValueError, match=r"^another$"):
        Norms()("another")
