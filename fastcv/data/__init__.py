"""Datasets: readers of the published layouts, a small task drawn from real pixels, and bias."""

from typing import Any

from fastcv._old_names import moved_attribute
from fastcv.data.bias import box_heatmap, mean_images
from fastcv.data.caption_folder import CaptionFolder
from fastcv.data.coco import CocoDetection
from fastcv.data.coco_densepose import CocoDensePose
from fastcv.data.coco_panoptic import CocoPanoptic, panoptic_target, write_coco_panoptic
from fastcv.data.collate import collate
from fastcv.data.drawn_bodies import DrawnBodies
from fastcv.data.drawn_digits import DrawnDigits
from fastcv.data.drawn_faces import DrawnFaces
from fastcv.data.drawn_identities import DrawnIdentities
from fastcv.data.drawn_recipes import DrawnRecipe, DrawnRecipes, MismatchedPairs
from fastcv.data.drawn_scenes import DrawnScenes
from fastcv.data.drawn_streets import DrawnStreets
from fastcv.data.easy_vqa import EasyVQA
from fastcv.data.folder import ImageFolder
from fastcv.data.jitter import Jitter
from fastcv.data.keypoint_crops import KeypointCrops
from fastcv.data.masks import LabelMaps, MaskFolder, VocSegmentation
from fastcv.data.moving_digits import MovingDigits, flow_between
from fastcv.data.moving_streets import MovingStreets
from fastcv.data.paired_folder import PairedFolder
from fastcv.data.proposals import WithProposals
from fastcv.data.question_folder import QuestionFolder
from fastcv.data.scene_questions import SceneQuestions
from fastcv.data.sound_and_faces import SoundAndFaces
from fastcv.data.sounding_clip import SoundingClip
from fastcv.data.sounding_digits import SoundingDigits
from fastcv.data.stuff_first import StuffFirst
from fastcv.data.to_coco import detection_to_coco
from fastcv.data.two_voices import TwoVoices
from fastcv.data.unpaired import Unpaired, pair_of_batches
from fastcv.data.unpaired_folders import UnpairedFolders
from fastcv.data.voc import VocDetection

__all__ = [
    "CaptionFolder",
    "CocoDensePose",
    "CocoDetection",
    "CocoPanoptic",
    "DrawnBodies",
    "DrawnDigits",
    "DrawnFaces",
    "DrawnIdentities",
    "DrawnRecipe",
    "DrawnRecipes",
    "DrawnScenes",
    "DrawnStreets",
    "EasyVQA",
    "ImageFolder",
    "Jitter",
    "KeypointCrops",
    "LabelMaps",
    "MaskFolder",
    "MismatchedPairs",
    "MovingDigits",
    "MovingStreets",
    "PairedFolder",
    "QuestionFolder",
    "SceneQuestions",
    "SoundAndFaces",
    "SoundingClip",
    "SoundingDigits",
    "StuffFirst",
    "TwoVoices",
    "Unpaired",
    "UnpairedFolders",
    "VocDetection",
    "VocSegmentation",
    "WithProposals",
    "box_heatmap",
    "collate",
    "detection_to_coco",
    "flow_between",
    "mean_images",
    "pair_of_batches",
    "panoptic_target",
    "write_coco_panoptic",
]


def __getattr__(name: str) -> Any:
    return moved_attribute(__name__, name)
