"""How good predictions are: metrics by task, each with a function that predicts and measures."""

from fastcv.metrics.analogies import evaluate_analogies, read_analogies
from fastcv.metrics.answers import answer_accuracy, evaluate_answers
from fastcv.metrics.captions import evaluate_captioner, evaluate_captions
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
from fastcv.metrics.generation import diversity, frechet_distance
from fastcv.metrics.image_quality import evaluate_super_resolution, psnr, ssim
from fastcv.metrics.landmarks import LandmarkMetrics, evaluate_landmarks
from fastcv.metrics.modality import modality_share, prior_accuracy
from fastcv.metrics.panoptic import PanopticMetrics, evaluate_panoptic
from fastcv.metrics.retrieval import evaluate_retrieval, retrieval_ranks
from fastcv.metrics.segmentation import SegmentationMetrics, evaluate_segmenter
from fastcv.metrics.separation import improvement, in_best_order, sdr, si_sdr
from fastcv.metrics.sound_localization import (
    consensus_iou,
    consensus_map,
    sound_localization_metrics,
)
from fastcv.metrics.verification import best_threshold, verification_accuracy
from fastcv.metrics.video_panoptic import VideoPanopticMetrics
from fastcv.metrics.vqa import vqa_accuracy

__all__ = [
    "ClassificationMetrics",
    "DenseCorrespondenceMetrics",
    "LandmarkMetrics",
    "PanopticMetrics",
    "SegmentationMetrics",
    "VideoPanopticMetrics",
    "answer_accuracy",
    "best_threshold",
    "coco_metrics",
    "consensus_iou",
    "consensus_map",
    "diversity",
    "evaluate_analogies",
    "evaluate_answers",
    "evaluate_captioner",
    "evaluate_captions",
    "evaluate_classifier",
    "evaluate_dense_correspondence",
    "evaluate_detector",
    "evaluate_faces",
    "evaluate_instances",
    "evaluate_keypoints",
    "evaluate_landmarks",
    "evaluate_panoptic",
    "evaluate_retrieval",
    "evaluate_segmenter",
    "evaluate_super_resolution",
    "frechet_distance",
    "geodesic_point_similarity",
    "improvement",
    "in_best_order",
    "modality_share",
    "prior_accuracy",
    "psnr",
    "read_analogies",
    "retrieval_ranks",
    "sdr",
    "si_sdr",
    "sound_localization_metrics",
    "ssim",
    "verification_accuracy",
    "vqa_accuracy",
]
