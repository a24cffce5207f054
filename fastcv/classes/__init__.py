"""Names of the data sets that published weights were trained on: of classes, and of keypoints."""

from __future__ import annotations

from importlib.resources import files

from fastcv.classes.keypoints import (
    COCO_KEYPOINTS,
    DIGIT_KEYPOINTS,
    FACE_LANDMARKS,
    MPII_KEYPOINTS,
    KeypointSchema,
    keypoint_schema,
)

__all__ = [
    "COCO_KEYPOINTS",
    "DIGIT_KEYPOINTS",
    "FACE_LANDMARKS",
    "IGNORE",
    "MPII_KEYPOINTS",
    "UNUSED",
    "KeypointSchema",
    "class_names",
    "default_classes",
    "keypoint_schema",
]

IGNORE = 255
"""In a label map, the label of pixels that do not count, as in PASCAL VOC."""

UNUSED = "(unused)"
"""The name of a label that stands for no class, as COCO's ids leave gaps."""


def class_names(dataset: str) -> tuple[str, ...]:
    """The names by label: ``"imagenet"``, ``"coco"``, ``"coco_panoptic"`` or ``"voc"``.

    ImageNet has 1000. COCO's 91 labels leave gaps, named ``(unused)``; label 0 of COCO and of VOC,
    which has 21, is the background. The panoptic 133 are 53 of stuff, then 80 of things.

    Raises:
        ValueError: no such data set.

    Example:
        >>> from fastcv.classes import class_names
        >>> class_names("coco")[17]
        'cat'
    """
    known = sorted(f.name[:-4] for f in files(__name__).iterdir() if f.name.endswith(".txt"))
    if dataset not in known:
        raise ValueError(f"dataset must be one of {', '.join(known)}, got {dataset!r}")
    return tuple((files(__name__) / f"{dataset}.txt").read_text("utf-8").splitlines())


def default_classes(
    dataset: str, num_classes: int, *, with_background: bool = False
) -> tuple[str, ...]:
    """The names that a model is born with: the data set's where there are as many, else numbers.

    Args:
        dataset: as for ``class_names``.
        num_classes: how many names.
        with_background: whether label 0 is the background, as of detectors.

    Raises:
        ValueError: no such data set, or no class beside the background.

    Example:
        >>> from fastcv.classes import default_classes
        >>> default_classes("imagenet", 2), default_classes("coco", 2, with_background=True)
        (('class 0', 'class 1'), ('background', 'class 1'))
    """
    if with_background and num_classes < 2:
        raise ValueError(f"num_classes must be at least 2, with the background, got {num_classes}")
    names = class_names(dataset)
    if num_classes == len(names):
        return names
    numbered = [f"class {i}" for i in range(num_classes)]
    return ("background", *numbered[1:]) if with_background else tuple(numbered)
