"""How models come to their predictions, as pictures."""

from fastcv.explain.detection import DetectionSteps, detection_steps
from fastcv.explain.map_boxes import boxes_of_maps
from fastcv.explain.maps_of_classes import class_maps
from fastcv.explain.nms import NMSStep, nms_steps
from fastcv.explain.receptive_field import ReceptiveField, receptive_field

__all__ = [
    "DetectionSteps",
    "NMSStep",
    "ReceptiveField",
    "boxes_of_maps",
    "class_maps",
    "detection_steps",
    "nms_steps",
    "receptive_field",
]
