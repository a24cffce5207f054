"""Augmentation: batches of images ``[B, 3, H, W]`` in [0, 1] and what is known of them, changed.

Functions change images by numbers that are given, one for each image; classes draw the numbers.
"""

from fastcv.augment.color import brightness, contrast, saturation, sharpness
from fastcv.augment.compose import Augmentation, Compose, Sometimes
from fastcv.augment.crop import resized_crop, shift
from fastcv.augment.cutout import erase
from fastcv.augment.geometry import affine_matrices, flip, rotate90, warp
from fastcv.augment.mix import CutMix, MixUp, cut_mix, mix_up
from fastcv.augment.rand_augment import RandAugment
from fastcv.augment.random import (
    Cutout,
    Flip,
    PadCrop,
    RandomAffine,
    RandomResizedCrop,
    Vary,
)
from fastcv.augment.targets import move_targets
from fastcv.augment.tone import autocontrast, equalize, invert, posterize, solarize

__all__ = [
    "Augmentation",
    "Compose",
    "CutMix",
    "Cutout",
    "Flip",
    "MixUp",
    "PadCrop",
    "RandAugment",
    "RandomAffine",
    "RandomResizedCrop",
    "Sometimes",
    "Vary",
    "affine_matrices",
    "autocontrast",
    "brightness",
    "contrast",
    "cut_mix",
    "equalize",
    "erase",
    "flip",
    "invert",
    "mix_up",
    "move_targets",
    "posterize",
    "resized_crop",
    "rotate90",
    "saturation",
    "sharpness",
    "shift",
    "solarize",
    "warp",
]
