"""A small Fast R-CNN that finds handwritten digits on photographs, in boxes of selective search.

The scenes are enlarged to twice their size. As in the paper the trunk's weights are those of
another task, here of the Faster R-CNN that ships.
"""

from __future__ import annotations

from fastcv.data import DrawnDigits, WithProposals
from fastcv.models import Model
from fastcv.recipes.detection._digits import DIGITS, digits_model, digits_recipe, reached
from fastcv.recipes.detection.digits_detector.recipe import trained_body


def build() -> Model:
    """The model with random weights but for its trunk."""
    model = digits_model(
        "fast_rcnn_resnet18", width=32, head_channels=256, min_size=384, max_size=640
    )
    trunk = model.get_submodule("backbone")
    names = {"conv1": "stem.0", "bn1": "stem.1"}
    trained = {}
    for key, value in trained_body().items():
        part, rest = key.split(".", 1)
        if part != "layer4":
            trained[f"{names.get(part, part)}.{rest}"] = value
    trunk.load_state_dict(trained)
    return model


RECIPE = digits_recipe(
    name="digits_fast_rcnn",
    summary="Fast R-CNN on three stages of a ResNet-18 of half the width, trained before",
    data={**DIGITS, "train": lambda: WithProposals(DrawnDigits("train"))},
    build=build,
    epochs=1,
    level=reached(ap=0.636, ap50=0.910),
)
train, evaluate = RECIPE.train, RECIPE.evaluate
