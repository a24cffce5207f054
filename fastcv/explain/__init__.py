"""How models come to their predictions, as pictures."""

from fastcv.explain.detection import DetectionSteps, detection_steps
from fastcv.explain.nms import NMSStep, nms_steps

__all__ = ["DetectionSteps", "NMSStep", "detection_steps", "nms_steps"]
