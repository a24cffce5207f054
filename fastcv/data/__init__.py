"""Datasets: readers of the published layouts, a small task drawn from real pixels, and bias."""

from typing import Any

from fastcv._old_names import moved_attribute
from fastcv.data.bias import box_heatmap, mean_images
from fastcv.data.coco import CocoDetection
from fastcv.data.collate import collate
from fastcv.data.drawn_bodies import DrawnBodies
from fastcv.data.drawn_digits import DrawnDigits
from fastcv.data.drawn_faces import DrawnFaces
from fastcv.data.folder import ImageFolder
from fastcv.data.keypoint_crops import KeypointCrops
from fastcv.data.masks import LabelMaps, MaskFolder, VocSegmentation
from fastcv.data.moving_digits import MovingDigits, flow_between
from fastcv.data.proposals import WithProposals
from fastcv.data.to_coco import detection_to_coco
from fastcv.data.unpaired import Unpaired
from fastcv.data.voc import VocDetection

__all__ = [
    "CocoDetection",
    "DrawnBodies",
    "DrawnDigits",
    "DrawnFaces",
    "ImageFolder",
    "KeypointCrops",
    "LabelMaps",
    "MaskFolder",
    "MovingDigits",
    "Unpaired",
    "VocDetection",
    "VocSegmentation",
    "WithProposals",
    "box_heatmap",
    "collate",
    "detection_to_coco",
    "flow_between",
    "mean_images",
]


def __getattr__(name: str) -> Any:
    return moved_attribute(__name__, name)
