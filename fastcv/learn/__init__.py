"""Learning: the one training loop, its history, and metrics."""

from fastcv.learn._ema import EMA
from fastcv.learn.coco_metrics import coco_metrics, evaluate_detector
from fastcv.learn.fit import fit
from fastcv.learn.history import History

__all__ = ["EMA", "History", "coco_metrics", "evaluate_detector", "fit"]
