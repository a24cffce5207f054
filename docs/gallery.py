"""Draws the docs' pictures anew when the site is built, each by running what its page shows.

A hook of mkdocs: an example that no longer runs fails `make docs`. The pictures under docs/images
are those of an earlier build, for reading the pages without building them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

# Each program, and the pictures it writes into the folder it is given.
PROGRAMS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("examples/nms_steps.py", "--out", "{folder}/nms_steps.png"): ("nms_steps.png",),
    ("examples/drawn_digits.py", "--out", "{folder}/drawn_digits.png"): ("drawn_digits.png",),
    ("examples/dense_crf.py", "--out", "{folder}/dense_crf.png"): ("dense_crf.png",),
    ("examples/checkerboard.py", "--out", "{folder}/checkerboard.png"): ("checkerboard.png",),
    ("examples/atrous_rates.py", "--out", "{folder}/atrous_rates.png"): ("atrous_rates.png",),
    ("examples/aspp_fields.py", "--out", "{folder}/aspp_fields.png"): ("aspp_fields.png",),
    ("examples/deeplab_decoder.py", "--out", "{folder}/deeplab_decoder.png"): (
        "deeplab_decoder.png",
    ),
    ("examples/feature_maps.py", "alexnet", "--out", "{folder}/alexnet.png"): ("alexnet.png",),
    ("examples/feature_maps.py", "vgg16", "--out", "{folder}/vgg.png"): ("vgg.png",),
    ("examples/feature_maps.py", "googlenet", "--out", "{folder}/googlenet.png"): (
        "googlenet.png",
    ),
    ("examples/pool_switches.py", "--out", "{folder}/pool_switches.png"): ("pool_switches.png",),
    ("examples/lenet_digits.py", "--out", "{folder}/lenet.png"): ("lenet.png",),
    ("examples/nearest_digits.py", "--out", "{folder}/nearest_digits.png"): ("nearest_digits.png",),
    ("examples/receptive_fields.py", "--out", "{folder}/receptive_fields.png"): (
        "receptive_fields.png",
    ),
    ("examples/densenet_memory.py", "--out", "{folder}/densenet_memory.png"): (
        "densenet_memory.png",
    ),
    ("examples/se_gates.py", "--out", "{folder}/se_gates.png"): ("se_gates.png",),
    ("examples/efficientnet_scaling.py", "--out", "{folder}/efficientnet_scaling.png"): (
        "efficientnet_scaling.png",
    ),
    ("examples/xception_cost.py", "--out", "{folder}/xception_cost.png"): ("xception_cost.png",),
    ("examples/deformable_taps.py", "--out", "{folder}/deformable_taps.png"): (
        "deformable_taps.png",
    ),
    ("examples/few_pixels.py", "--out", "{folder}/few_pixels.png"): ("few_pixels.png",),
    ("examples/retinanet_anchors.py", "--out", "{folder}/retinanet_anchors.png"): (
        "retinanet_anchors.png",
    ),
    ("examples/ssd_priors.py", "--out", "{folder}/ssd_priors.png"): ("ssd_priors.png",),
    ("examples/augmentations.py", "--out", "{folder}/augmentations.png"): ("augmentations.png",),
    ("examples/learn_from_little.py", "--out", "{folder}/learn_from_little.png"): (
        "learn_from_little.png",
    ),
    ("examples/yolo_grid.py", "--out", "{folder}/yolo_grid.png"): ("yolo_grid.png",),
    ("examples/detr_attention.py", "--out", "{folder}/detr_attention.png"): ("detr_attention.png",),
    ("examples/one_and_two_stages.py", "--out", "{folder}"): (
        "detection_steps.png",
        "one_and_two_stages.png",
    ),
    ("examples/classifier_metrics.py", "--out", "{folder}"): ("confusion.png", "reliability.png"),
    ("examples/dataset_bias.py", "--out", "{folder}"): ("bias_means.png", "bias_boxes.png"),
    ("examples/selective_search.py", "--out", "{folder}/selective_search.png"): (
        "selective_search.png",
    ),
    ("examples/roi_pooling.py", "--out", "{folder}/roi_pooling.png"): ("roi_pooling.png",),
    ("examples/rcnn_crops.py", "--out", "{folder}/rcnn_crops.png"): ("rcnn_crops.png",),
    ("examples/hog_faces.py", "--out", "{folder}/hog_faces.png"): ("hog_faces.png",),
    ("examples/fcn_strides.py", "--out", "{folder}/fcn_strides.png"): ("fcn_strides.png",),
    ("examples/unet_bridges.py", "--out", "{folder}/unet.png"): ("unet.png",),
    ("examples/hypercolumn_heatmaps.py", "--out", "{folder}/hypercolumns.png"): (
        "hypercolumns.png",
    ),
    ("examples/corner_pooling.py", "--out", "{folder}/corner_pooling.png"): ("corner_pooling.png",),
    ("examples/keypoint_triplets.py", "--out", "{folder}/keypoint_triplets.png"): (
        "keypoint_triplets.png",
    ),
    ("examples/centernet_peaks.py", "--out", "{folder}/centernet_peaks.png"): (
        "centernet_peaks.png",
    ),
    ("-m", "fastcv", "demo", "--out", "{folder}"): ("digits.png",),
}


def on_post_build(config: Any) -> None:
    """Called by mkdocs when the pages are written."""
    folder = Path(config["site_dir"], "images")
    for program, pictures in PROGRAMS.items():
        for picture in pictures:
            (folder / picture).unlink(missing_ok=True)
        arguments = [part.format(folder=folder) for part in program]
        subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True)
        for picture in pictures:
            if not (folder / picture).exists():
                raise FileNotFoundError(f"{' '.join(arguments)} did not write {picture}")
