"""What others have published for our segmenters, as data."""

from __future__ import annotations

from fastcv.classes import class_names
from fastcv.models._weights import Weights


def torchvision_weights(file: str, miou: float, pixel_accuracy: float) -> Weights:
    """Weights that torchvision trained on those images of COCO that show one of VOC's classes.

    Args:
        file: its name, which ends in the first digits of the sha256.
        miou: mean intersection over union that torchvision reports, in per cent.
        pixel_accuracy: the same of the share of pixels that are right.
    """
    return Weights(
        name="COCO_WITH_VOC_LABELS_V1",
        url=f"https://download.pytorch.org/models/{file}",
        sha256=file.removesuffix(".pth").rsplit("-", 1)[1],
        classes=class_names("voc"),
        preprocessing={"resize": 520},
        licence="BSD-3-Clause",
        source="torchvision, references/segmentation; trained on COCO with VOC's labels",
        metric={"mIoU": miou, "pixel accuracy": pixel_accuracy},
    )
