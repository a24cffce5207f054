"""How good predictions are: metrics by task, each with a function that predicts and measures."""

from fastcv.metrics.classification import ClassificationMetrics, evaluate_classifier
from fastcv.metrics.coco import (
    coco_metrics,
    evaluate_detector,
    evaluate_instances,
    evaluate_keypoints,
)
from fastcv.metrics.dense_correspondence import (
    DenseCorrespondenceMetrics,
    evaluate_dense_correspondence,
    geodesic_point_similarity,
)
from fastcv.metrics.faces import evaluate_faces
from fastcv.metrics.landmarks import LandmarkMetrics, evaluate_landmarks
from fastcv.metrics.segmentation import SegmentationMetrics, evaluate_segmenter

__all__ = [
    "ClassificationMetrics",
    "DenseCorrespondenceMetrics",
    "LandmarkMetrics",
    "SegmentationMetrics",
    "coco_metrics",
    "evaluate_classifier",
    "evaluate_dense_correspondence",
    "evaluate_detector",
    "evaluate_faces",
    "evaluate_instances",
    "evaluate_keypoints",
    "evaluate_landmarks",
    "evaluate_segmenter",
    "geodesic_point_similarity",
]
