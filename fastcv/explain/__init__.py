"""How models come to their predictions, as pictures."""

from fastcv.explain.activations import activation_grid, activations
from fastcv.explain.cam import cam
from fastcv.explain.detection import DetectionSteps, detection_steps
from fastcv.explain.dissect import Dissection, dissect, unit_quantiles
from fastcv.explain.edit_units import edit_units
from fastcv.explain.embedding import embed_2d, thumbnail_scatter
from fastcv.explain.faithfulness import Faithfulness, faithfulness, pointing_game
from fastcv.explain.filters import filters
from fastcv.explain.grad_cam import grad_cam, guided_grad_cam
from fastcv.explain.map_boxes import boxes_of_maps
from fastcv.explain.maps_of_classes import class_maps
from fastcv.explain.neighbours import Neighbours, neighbours
from fastcv.explain.neighbours_found import NeighboursFound
from fastcv.explain.nms import NMSStep, nms_steps
from fastcv.explain.occlusion import occlusion
from fastcv.explain.receptive_field import ReceptiveField, receptive_field
from fastcv.explain.saliency import deconvnet, guided_backprop, saliency
from fastcv.explain.top_patches import Patches, TopPatches, top_patches
from fastcv.explain.visualise_class import ClassPictures, visualise_class
from fastcv.models.classification.cam import to_cam

__all__ = [
    "ClassPictures",
    "DetectionSteps",
    "Dissection",
    "Faithfulness",
    "NMSStep",
    "Neighbours",
    "NeighboursFound",
    "Patches",
    "ReceptiveField",
    "TopPatches",
    "activation_grid",
    "activations",
    "boxes_of_maps",
    "cam",
    "class_maps",
    "deconvnet",
    "detection_steps",
    "dissect",
    "edit_units",
    "embed_2d",
    "faithfulness",
    "filters",
    "grad_cam",
    "guided_backprop",
    "guided_grad_cam",
    "neighbours",
    "nms_steps",
    "occlusion",
    "pointing_game",
    "receptive_field",
    "saliency",
    "thumbnail_scatter",
    "to_cam",
    "top_patches",
    "unit_quantiles",
    "visualise_class",
]
