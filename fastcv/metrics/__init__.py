"""How good predictions are: metrics by task, each with a function that predicts and measures."""

from fastcv.metrics.classification import ClassificationMetrics, evaluate_classifier
from fastcv.metrics.coco import (
    coco_metrics,
    evaluate_detector,
    evaluate_instances,
    evaluate_keypoints,
)
from fastcv.metrics.landmarks import LandmarkMetrics, evaluate_landmarks
from fastcv.metrics.segmentation import SegmentationMetrics, evaluate_segmenter

__all__ = [
    "ClassificationMetrics",
    "LandmarkMetrics",
    "SegmentationMetrics",
    "coco_metrics",
    "evaluate_classifier",
    "evaluate_detector",
    "evaluate_instances",
    "evaluate_keypoints",
    "evaluate_landmarks",
    "evaluate_segmenter",
]
