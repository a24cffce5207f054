"""What others have published for our classifiers, as data."""

from __future__ import annotations

from typing import Any

from fastcv.classes import class_names
from fastcv.models._weights import Weights


def torchvision_weights(
    version: int, file: str, acc1: float, acc5: float, **preprocessing: Any
) -> Weights:
    """Weights that torchvision trained on ImageNet-1K.

    Args:
        version: 2 where torchvision trained the same model again, longer.
        file: its name, which ends in the first digits of the sha256.
        acc1: top-1 accuracy that torchvision reports, in per cent.
        acc5: top-5.
        preprocessing: where it is not ``Classifier.preprocessing``.
    """
    return Weights(
        name=f"IMAGENET1K_V{version}",
        url=f"https://download.pytorch.org/models/{file}",
        sha256=file.removesuffix(".pth").rsplit("-", 1)[1],
        classes=class_names("imagenet"),
        preprocessing=preprocessing,
        licence="BSD-3-Clause",
        source="torchvision, references/classification; trained on ImageNet-1K",
        metric={"acc@1": acc1, "acc@5": acc5},
    )


def timm_weights(
    name: str, release: str, file: str, acc1: float, acc5: float, **preprocessing: Any
) -> Weights:
    """Weights for ImageNet-1K that timm publishes.

    Args:
        name: timm's tag, such as ``"in1k"``.
        release: of timm's repository, where the file is.
        file: its name, which ends in the first digits of the sha256.
        acc1: top-1 accuracy that timm reports, in per cent.
        acc5: top-5.
        preprocessing: where it is not ``Classifier.preprocessing``.
    """
    releases = "https://github.com/rwightman/pytorch-image-models/releases/download"
    return Weights(
        name=name,
        url=f"{releases}/{release}/{file}",
        sha256=file.removesuffix(".pth").rsplit("-", 1)[1],
        classes=class_names("imagenet"),
        preprocessing=preprocessing,
        licence="Apache-2.0",
        source="timm, results/results-imagenet.csv; trained on ImageNet-1K",
        metric={"acc@1": acc1, "acc@5": acc5},
    )
