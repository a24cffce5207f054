"""Learning: the one training loop, learning from little data, and metrics."""

from fastcv.learn._ema import EMA
from fastcv.learn.classification_metrics import ClassificationMetrics, evaluate_classifier
from fastcv.learn.classification_pictures import draw_confusion, draw_reliability
from fastcv.learn.coco_metrics import coco_metrics, evaluate_detector
from fastcv.learn.distill import Distillation, distillation_loss
from fastcv.learn.fit import fit
from fastcv.learn.history import History
from fastcv.learn.noise import add_noise
from fastcv.learn.normalised_batches import normalised_batches
from fastcv.learn.pseudo_labels import PseudoLabelled, confident_and_balanced
from fastcv.learn.segmentation_metrics import SegmentationMetrics, evaluate_segmenter
from fastcv.learn.self_train import self_train
from fastcv.learn.transfer import freeze, new_head, two_rates, unfreeze

__all__ = [
    "EMA",
    "ClassificationMetrics",
    "Distillation",
    "History",
    "PseudoLabelled",
    "SegmentationMetrics",
    "add_noise",
    "coco_metrics",
    "confident_and_balanced",
    "distillation_loss",
    "draw_confusion",
    "draw_reliability",
    "evaluate_classifier",
    "evaluate_detector",
    "evaluate_segmenter",
    "fit",
    "freeze",
    "new_head",
    "normalised_batches",
    "self_train",
    "two_rates",
    "unfreeze",
]
