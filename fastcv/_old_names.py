"""Names of the release before: what moved is found at its old place once more, with a warning.

``fastcv.learn.coco_metrics`` was a function and a module: imported as a module, it is that from
then on. To be removed in 0.3.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

# A module's old name and its new one. What lies below moved with it.
MODULES = {
    "fastcv._fuse": "fastcv.deploy.fuse",
    "fastcv._fused_conv": "fastcv.deploy.fused_conv",
    "fastcv._onnx": "fastcv.deploy.onnx",
    "fastcv._optimize": "fastcv.deploy.optimize",
    "fastcv.learn.classification_metrics": "fastcv.metrics.classification",
    "fastcv.learn.classification_pictures": "fastcv.draw.classification",
    "fastcv.learn.coco_metrics": "fastcv.metrics.coco",
    "fastcv.learn.segmentation_metrics": "fastcv.metrics.segmentation",
    "fastcv.models.detection.keypoints": "fastcv.models.detection.points",
    "fastcv.nn.aligned_xception": "fastcv.nn.backbones.aligned_xception",
    "fastcv.nn.alexnet": "fastcv.nn.backbones.alexnet",
    "fastcv.nn.anchors": "fastcv.nn.detection.anchors",
    "fastcv.nn.aspp": "fastcv.nn.layers.aspp",
    "fastcv.nn.box_coder": "fastcv.nn.detection.box_coder",
    "fastcv.nn.box_heatmaps": "fastcv.nn.detection.box_heatmaps",
    "fastcv.nn.deform_conv": "fastcv.nn.layers.deform_conv",
    "fastcv.nn.dense_head": "fastcv.nn.detection.dense_head",
    "fastcv.nn.detection_targets": "fastcv.nn.detection.targets",
    "fastcv.nn.detection_transform": "fastcv.nn.detection.transform",
    "fastcv.nn.detr.position": "fastcv.nn.layers.sine_position",
    "fastcv.nn.detr.set_loss": "fastcv.nn.losses.set_loss",
    "fastcv.nn.detr.transformer": "fastcv.nn.layers.transformer",
    "fastcv.nn.dla": "fastcv.nn.backbones.dla",
    "fastcv.nn.focal_loss": "fastcv.nn.losses.focal_loss",
    "fastcv.nn.fpn": "fastcv.nn.backbones.fpn",
    "fastcv.nn.frozen_batch_norm": "fastcv.nn.layers.frozen_batch_norm",
    "fastcv.nn.gram": "fastcv.nn.losses.gram",
    "fastcv.nn.hard_negatives": "fastcv.nn.detection.hard_negatives",
    "fastcv.nn.hourglass": "fastcv.nn.backbones.hourglass",
    "fastcv.nn.keypoints": "fastcv.nn.points",
    "fastcv.nn.local_response_norm": "fastcv.nn.layers.local_response_norm",
    "fastcv.nn.locally_connected": "fastcv.nn.layers.locally_connected",
    "fastcv.nn.matching": "fastcv.nn.detection.matching",
    "fastcv.nn.prior_boxes": "fastcv.nn.detection.prior_boxes",
    "fastcv.nn.receptive_field": "fastcv.explain.receptive_field",
    "fastcv.nn.resnet": "fastcv.nn.backbones.resnet",
    "fastcv.nn.resnet_dcn": "fastcv.nn.backbones.resnet_dcn",
    "fastcv.nn.resnet_fpn": "fastcv.nn.backbones.resnet_fpn",
    "fastcv.nn.retinanet_head": "fastcv.nn.detection.retinanet_head",
    "fastcv.nn.roi_heads": "fastcv.nn.detection.roi_heads",
    "fastcv.nn.rpn": "fastcv.nn.detection.rpn",
    "fastcv.nn.segmentation_losses": "fastcv.nn.losses.segmentation_losses",
    "fastcv.nn.separable_conv": "fastcv.nn.layers.separable_conv",
    "fastcv.nn.squeeze_excitation": "fastcv.nn.layers.squeeze_excitation",
    "fastcv.nn.ssd_backbone": "fastcv.nn.backbones.ssd_backbone",
    "fastcv.nn.stochastic_depth": "fastcv.nn.layers.stochastic_depth",
    "fastcv.nn.transposed_conv": "fastcv.nn.layers.transposed_conv",
    "fastcv.nn.vgg": "fastcv.nn.backbones.vgg",
    "fastcv.nn.xception": "fastcv.nn.backbones.xception",
    "fastcv.nn.yolo_loss": "fastcv.nn.losses.yolo_loss",
    "fastcv.recipes._schedules": "fastcv.learn.schedules",
    "fastcv.results._draw": "fastcv.draw.canvas",
} | {
    f"fastcv.recipes.{name}": f"fastcv.recipes.{chapter}.{name}"
    for chapter, names in {
        "detection": "digits_centernet digits_centernet_triplet digits_cornernet digits_detector "
        "digits_detr digits_fast_rcnn digits_rcnn digits_retinanet digits_ssd digits_yolov1 "
        "hog_faces",
        "segmentation": "digits_segmenter few_pixels",
        "learn": "distill self_train transfer",
    }.items()
    for name in names.split()
}

# The old place of a class or function, and its new one.
ATTRIBUTES = {
    "fastcv.data.draw_bias": "fastcv.draw.draw_bias",
    "fastcv.learn.ClassificationMetrics": "fastcv.metrics.ClassificationMetrics",
    "fastcv.learn.SegmentationMetrics": "fastcv.metrics.SegmentationMetrics",
    "fastcv.learn.coco_metrics": "fastcv.metrics.coco_metrics",
    "fastcv.learn.draw_confusion": "fastcv.draw.draw_confusion",
    "fastcv.learn.draw_reliability": "fastcv.draw.draw_reliability",
    "fastcv.learn.evaluate_classifier": "fastcv.metrics.evaluate_classifier",
    "fastcv.learn.evaluate_detector": "fastcv.metrics.evaluate_detector",
    "fastcv.learn.evaluate_segmenter": "fastcv.metrics.evaluate_segmenter",
    "fastcv.models.System": "fastcv.models.ImageModel",
}

PACKAGES = ("fastcv.nn.detr",)
"""Packages whose modules went to several places."""


def moved_attribute(module: str, name: str) -> Any:
    """A module's ``__getattr__``: what it used to have.

    Raises:
        AttributeError: it never had that.

    Example:
        >>> import warnings
        >>> from fastcv._old_names import moved_attribute
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     moved_attribute("fastcv.learn", "draw_confusion").__name__
        'draw_confusion'
        >>> str(caught[0].message)
        'fastcv.learn.draw_confusion has moved: import fastcv.draw.draw_confusion'
    """
    new = ATTRIBUTES.get(f"{module}.{name}")
    if new is None:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    _warn(f"{module}.{name}", new)
    home, _, new_name = new.rpartition(".")
    return getattr(importlib.import_module(home), new_name)


def _warn(old: str, new: str) -> None:
    warnings.warn(f"{old} has moved: import {new}", DeprecationWarning, stacklevel=3)


def _new_name(name: str) -> str | None:
    if name in MODULES:
        return MODULES[name]
    parent, _, last = name.rpartition(".")
    return f"{MODULES[parent]}.{last}" if parent in MODULES else None


class _Finder(MetaPathFinder):
    """Asked first: a folder that an update left behind would be found as a namespace package."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith("fastcv."):
            return None
        if fullname in PACKAGES:
            return ModuleSpec(fullname, None, is_package=True)
        new = _new_name(fullname)
        if new is None:
            return None
        _warn(fullname, new)
        return ModuleSpec(fullname, _Alias(new))


class _Alias(Loader):
    """The old name stands for the same module object: its classes stay one and the same."""

    def __init__(self, new: str) -> None:
        self.new = new

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self.new)
        self.spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec  # the import system has put the old name's there


def install() -> None:
    """Lets old names be imported."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
