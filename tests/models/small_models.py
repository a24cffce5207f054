"""A small form of every registered model, for tests that run many of them.

A row for each name, or for each family. A model that is registered without one makes
``test_every_model.py`` fail: add its row here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from fastcv.language import WrittenRecipe
from fastcv.models import Model, create_model
from fastcv.models._registry import find_model


@dataclass(frozen=True)
class Small:
    """How a model is made small, and what it is run on.

    Args:
        config: what its builder is given.
        shape: channels, height and width of what a classifier or a segmenter is trained on;
            ``predict`` of a classifier cuts squares of that height. Of a model with ``like``: on
            what it is run without memory; None where that takes seconds.
        options: what ``predict`` is given.
        idle: parts of the names of parameters that the loss does not move, each with the reason.
        trained_by: the method that trains it.
        like: a smaller model of the same class. Tests run that one, and build this one without
            memory.
        heavy: it has no small form, and is run as it is; what costs more is left out.
    """

    config: Mapping[str, Any] = field(default_factory=dict)
    shape: tuple[int, int, int] | None = (3, 64, 64)
    options: Mapping[str, Any] = field(default_factory=dict)
    idle: Mapping[str, str] = field(default_factory=dict)
    trained_by: str = "loss"
    like: str = ""
    heavy: bool = False


def family(names: str, small: Small) -> dict[str, Small]:
    """The same row for several names."""
    return dict.fromkeys(names.split(), small)


CLASSES = {"num_classes": 3}
NARROW = {**CLASSES, "width": 8}
SIZES = {**CLASSES, "min_size": 64, "max_size": 96}
HOURGLASS = {**CLASSES, "dims": (8, 8, 12), "modules": (1, 1, 1)}
ANY_SCORE = {"score_threshold": 0.0, "max_detections": 5}
PROPOSALS = {"proposals": [torch.tensor([[4.0, 4, 40, 30], [20, 10, 60, 44]])]}
DETR = {
    **SIZES,
    "width": 8,
    "channels": 16,
    "heads": 2,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "feedforward": 32,
    "num_queries": 5,
}
CROPS = {"keypoints": 4, "channels": 16, "crop_size": 64}
WORDS = ("a", "red", "seven", "two")
TEXTS = ("a red seven", "two")
JOINT = {"width": 8, "embedding_size": 12, "word_size": 6, "words": WORDS, "finetune": True}
CAPTIONER_OF_ANY_SIZE = {"words": ("a", "cat", "on", "mat"), "hidden": 8}
CAPTIONER = {**CAPTIONER_OF_ANY_SIZE, "width": 8, "grid": 2, "size": 64}
SPOKEN = {"texts": [(torch.linspace(-1, 1, 4000).sin(), 16000), (torch.eye(60).flatten(), 16000)]}
HEARD_AND_SEEN = {
    "depth": 18,
    "width": 4,
    "widths": (4, 4, 6, 8, 10),
    "kernel": 3,
    "frames": 64,
}
SMALL: dict[str, Small] = {
    # Classification.
    "alexnet": Small(CLASSES, (3, 64, 80), heavy=True),
    "alexnet_grouped": Small(CLASSES, (3, 64, 80), like="alexnet"),
    "vgg11": Small(CLASSES, (3, 32, 48), heavy=True),
    **family(
        "vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn",
        Small(CLASSES, (3, 32, 48), like="vgg11"),
    ),
    "zfnet": Small(CLASSES, (3, 224, 224), heavy=True),
    "googlenet": Small({**CLASSES, "transform_input": True}, (3, 64, 80), heavy=True),
    "googlenet_paper": Small(CLASSES, (3, 224, 224), heavy=True),
    "lenet5": Small(CLASSES, (1, 32, 32)),
    "linear": Small({**CLASSES, "image_size": 8}, (3, 8, 8)),
    **family("resnet18 resnet34 resnet50 resnet101 resnet152", Small(NARROW)),
    **family("wide_resnet50_2 wide_resnet101_2 resnet50_dcn resnet50_dcnv2", Small(NARROW)),
    **family("resnext50_32x4d resnext101_32x8d resnext101_64x4d", Small({**CLASSES, "width": 16})),
    **family(
        "densenet121 densenet161 densenet169 densenet201",
        Small({**NARROW, "growth": 4, "bottleneck": 2}),
    ),
    **family("se_resnet50 legacy_seresnet50", Small(CLASSES, heavy=True)),
    **family(
        "se_resnet101 legacy_seresnet101 senet154 legacy_senet154",
        Small(CLASSES, None, like="se_resnet50"),
    ),
    "efficientnet": Small({**CLASSES, "phi": -6.0}),
    **family(
        " ".join(f"efficientnet_b{i}" for i in range(8)), Small(CLASSES, None, like="efficientnet")
    ),
    "efficientnet_lite0": Small(CLASSES, heavy=True),
    "vgg16_cam": Small({**NARROW, "channels": 16}),
    **family("alexnet_cam googlenet_cam", Small(CLASSES, (3, 99, 99), like="vgg16_cam")),
    "scouter_resnet18": Small(NARROW),
    "scouter": Small({**CLASSES, "backbone_config": {"width": 0.25}}),
    "mobilenet_v2": Small({**CLASSES, "width": 0.25}),
    **family("xception legacy_xception", Small(CLASSES, (3, 96, 96), heavy=True)),
    # Detection.
    "fasterrcnn_resnet18_fpn": Small(
        {**SIZES, "width": 8, "fpn_channels": 16, "head_channels": 32}, options=ANY_SCORE
    ),
    **family(
        "fasterrcnn_resnet50_fpn fasterrcnn_vgg16", Small(SIZES, like="fasterrcnn_resnet18_fpn")
    ),
    "fast_rcnn_resnet18": Small(
        {**SIZES, "width": 8, "head_channels": 32}, options={**ANY_SCORE, **PROPOSALS}
    ),
    "fast_rcnn_vgg16": Small(SIZES, like="fast_rcnn_resnet18"),
    "rcnn_small": Small(
        {**CLASSES, "width": 4, "crop_size": 24}, options={**ANY_SCORE, **PROPOSALS}
    ),
    "rcnn_alexnet": Small(CLASSES, like="rcnn_small"),
    "hog_svm": Small(
        {"window_size": (16, 16), "cell_size": 4}, options=ANY_SCORE, trained_by="fit"
    ),
    "retinanet_resnet18_fpn": Small({**SIZES, "width": 8, "fpn_channels": 16}, options=ANY_SCORE),
    **family(
        "retinanet_resnet50_fpn retinanet_resnet50_fpn_v2",
        Small(SIZES, like="retinanet_resnet18_fpn"),
    ),
    "ssd_resnet18": Small({**NARROW, "extra_channels": 16, "size": 96}, options=ANY_SCORE),
    **family("ssd300_vgg16 ssd512_vgg16", Small(CLASSES, like="ssd_resnet18")),
    "yolov1": Small({**NARROW, "grid": 2, "hidden": 16, "batch_norm": True}, options=ANY_SCORE),
    "yolov1_darknet": Small(CLASSES, like="yolov1"),
    "detr_resnet18": Small(DETR, options=ANY_SCORE),
    **family(
        "detr_resnet50 detr_resnet101 detr_resnet50_dc5 detr_resnet101_dc5",
        Small({**DETR, "frozen_norm": False}, options=ANY_SCORE),
    ),
    "centernet_resdcn18": Small({**NARROW, "size": 96}, options=ANY_SCORE),
    "centernet_resdcn101": Small(CLASSES, like="centernet_resdcn18"),
    "centernet_dla34": Small(
        {**CLASSES, "channels": (4, 4, 8, 8, 16, 16), "head_channels": 8, "size": 96},
        options=ANY_SCORE,
        idle={".project.": "layers of DLA's checkpoints that nothing reads"},
    ),
    "centernet_hourglass104": Small({**HOURGLASS, "size": 96}, options=ANY_SCORE),
    **family(
        "cornernet_hourglass104 centernet_triplet_hourglass104 centernet_triplet_hourglass52",
        Small({**HOURGLASS, "size": 95}, options=ANY_SCORE),
    ),
    # Segmentation.
    **family("fcn32s_vgg16 fcn16s_vgg16 fcn8s_vgg16", Small({**CLASSES, "width": 2})),
    **family("fcn_resnet50 fcn_resnet101", Small(NARROW)),
    "unet": Small({**CLASSES, "width": 4}),
    "unet_paper": Small({**CLASSES, "width": 4}, (1, 204, 220)),
    "deeplabv1_vgg16": Small(CLASSES, heavy=True),
    "deeplabv2_resnet101": Small({**NARROW, "layers": (1, 1, 1, 1)}),
    **family("deeplabv3_resnet50 deeplabv3_resnet101", Small({**NARROW, "aspp_channels": 16})),
    **family(
        "deeplabv3plus_resnet50 deeplabv3plus_resnet101",
        Small({**NARROW, "decoder_channels": 64}),
    ),
    "deeplabv3plus_xception": Small({**CLASSES, "decoder_channels": 64}, heavy=True),
    "deeplabv3plus_xception65": Small({**CLASSES, "decoder_channels": 64, "middle": 1}, heavy=True),
    # Instance segmentation.
    "hypercolumns_vgg16": Small(
        {**CLASSES, "width": 2}, options={"boxes": [[4, 4, 40, 30]], "labels": [1]}
    ),
    "hypercolumns_alexnet": Small(CLASSES, like="hypercolumns_vgg16"),
    "maskrcnn_resnet18_fpn": Small(
        {**SIZES, "width": 8, "fpn_channels": 16, "head_channels": 32, "mask_channels": 8},
        options=ANY_SCORE,
    ),
    "maskrcnn_resnet50_fpn": Small(SIZES, like="maskrcnn_resnet18_fpn"),
    "yolact_resnet18": Small(
        {**NARROW, "channels": 16, "prototypes": 8, "size": 96, "scales": (8, 16, 24, 48, 96)},
        options=ANY_SCORE,
    ),
    **family(
        "yolact_resnet50 yolact_resnet101 yolact_darknet53", Small(CLASSES, like="yolact_resnet18")
    ),
    "yolactedge_resnet18": Small(
        {
            **NARROW,
            "channels": 16,
            "prototypes": 8,
            "size": 96,
            "scales": (8, 16, 24, 48, 96),
            "flow_channels": 8,
        },
        options=ANY_SCORE,
        idle={
            "flow_net.pred1.scale": "the finest level is not moved; published files have it",
            "flow_net.pred1.bias": "as well",
        },
    ),
    **family(
        "yolactedge_resnet50 yolactedge_resnet101 yolactedge_mobilenetv2",
        Small(CLASSES, like="yolactedge_resnet18"),
    ),
    # Panoptic segmentation.
    "upsnet_resnet18_fpn": Small(
        {
            **SIZES,
            "num_stuff": 1,
            "width": 8,
            "fpn_channels": 16,
            "head_channels": 32,
            "mask_channels": 8,
            "semantic_channels": 8,
        },
        options=ANY_SCORE,
    ),
    "upsnet_resnet50_fpn": Small({**SIZES, "num_stuff": 1}, like="upsnet_resnet18_fpn"),
    "vpsnet_resnet18_fpn": Small(
        {
            **SIZES,
            "num_stuff": 1,
            "width": 8,
            "fpn_channels": 32,
            "head_channels": 32,
            "mask_channels": 8,
            "semantic_channels": 32,
        },
        options=ANY_SCORE,
    ),
    "vpsnet_resnet50_fpn": Small({**SIZES, "num_stuff": 1}, like="vpsnet_resnet18_fpn"),
    # Keypoints.
    "keypointrcnn_resnet18_fpn": Small(
        {
            **SIZES,
            "keypoints": 4,
            "width": 8,
            "fpn_channels": 16,
            "head_channels": 32,
            "keypoint_channels": 8,
        },
        options=ANY_SCORE,
    ),
    "keypointrcnn_resnet50_fpn": Small({**SIZES, "keypoints": 4}, like="keypointrcnn_resnet18_fpn"),
    "stacked_hourglass_2": Small(
        CROPS,
        idle={
            ".skip_layer.": "in the checkpoints of blocks that need none, too",
            ".conv1.conv.bias": "the norm behind it takes it off",
            ".conv2.conv.bias": "the norm behind it takes it off",
        },
    ),
    **family("stacked_hourglass_4 stacked_hourglass_8", Small(CROPS, like="stacked_hourglass_2")),
    # Dense correspondence.
    "densepose_rcnn_resnet18_fpn": Small(
        {
            **SIZES,
            "charts": 4,
            "width": 8,
            "fpn_channels": 16,
            "head_channels": 32,
            "surface_channels": 8,
        },
        options=ANY_SCORE,
    ),
    "densepose_rcnn_resnet50_fpn": Small(
        {**SIZES, "charts": 4}, like="densepose_rcnn_resnet18_fpn"
    ),
    # Faces.
    "retinaface_mobilenet025": Small(
        {"prior_sizes": ((8, 12), (16, 24), (36, 52))}, options=ANY_SCORE
    ),
    "retinaface_resnet50": Small(like="retinaface_mobilenet025"),
    # Image translation.
    "pix2pix_unet64": Small({"width": 4}, trained_by="gan"),
    **family(
        "pix2pix_unet128 pix2pix_unet256",
        Small({"width": 4}, trained_by="gan", like="pix2pix_unet64"),
    ),
    "srresnet_x4": Small({"width": 4, "blocks": 1}, (3, 12, 16)),
    "srgan_x4": Small({"width": 4, "blocks": 1}, like="srresnet_x4"),
    "style_transfer": Small({"width": 4}, (3, 32, 48), trained_by="perceptual"),
    "perceptual_sr_x4": Small({"width": 4, "blocks": 1}, (3, 12, 16), trained_by="perceptual"),
    "perceptual_sr_x8": Small({"width": 4, "blocks": 1}, like="perceptual_sr_x4"),
    "cyclegan_resnet9": Small({"blocks": 2, "width": 4}, trained_by="gan"),
    "face_identity_transformer": Small(
        {"blocks": 1, "width": 4}, options={"password": "01" * 8}, trained_by="gan"
    ),
    # Pictures and texts.
    **family("vse_resnet18 vsepp_resnet18", Small(JOINT, options={"texts": TEXTS})),
    **family(
        "vse_vgg19 vsepp_vgg19 vsepp_resnet152", Small({"words": WORDS}, like="vsepp_resnet18")
    ),
    # Pictures and recipes.
    "im2recipe_resnet18": Small(
        {
            **NARROW,
            "words": ("flour", "salt"),
            "instruction_words": ("mix", "bake"),
            "embedding_size": 12,
            "vector_size": 6,
            "hidden_size": 7,
            "ingredient_size": 5,
            "word_size": 4,
        },
        options={
            "texts": [
                WrittenRecipe(("flour",), ("mix", "bake")),
                WrittenRecipe(("salt",), ("bake", "mix")),
            ]
        },
    ),
    "im2recipe_resnet50": Small(NARROW, like="im2recipe_resnet18"),
    # Captioning.
    "show_and_tell_resnet18": Small({**CAPTIONER, "embedding": 8}),
    "show_and_tell": Small(CAPTIONER_OF_ANY_SIZE, heavy=True),
    "show_attend_and_tell_resnet18": Small(
        {**CAPTIONER, "embedding": 8, "attention_size": 8},
        idle={"full_att.bias": "a softmax is the same for all scores moved together"},
    ),
    "show_attend_and_tell": Small(CAPTIONER, like="show_attend_and_tell_resnet18"),
    "image_to_units": Small(
        {
            **{key: value for key, value in CAPTIONER.items() if key != "words"},
            "units": 3,
            "depth": 18,
            "embedding": 8,
            "attention_size": 8,
        },
        idle={"full_att.bias": "a softmax is the same for all scores moved together"},
    ),
    # Generation.
    "progan_256": Small({"channels": (12, 8, 6, 4)}, None, trained_by="gan"),
    "dcgan_64": Small({"size": 16, "width": 4, "latent_size": 6}, None, trained_by="gan"),
    "cgan": Small(
        {"size": 8, "width": 4, "latent_size": 6, "num_classes": 3}, None, trained_by="gan"
    ),
    # Sounds, and sounds with pictures.
    "soundnet8": Small(
        {**CLASSES, "num_scenes": 2, "width": 2, "pools": (4, 4, 4), "head_kernel": 2},
        idle={f"conv{n}.bias": "the norm behind it takes it off" for n in range(1, 8)},
    ),
    "sound_localization": Small(
        {
            "width": 2,
            "sound_size": 6,
            "sound_width": 1,
            "sound_options": {"num_scenes": 2, "pools": (4, 4, 4), "head_kernel": 2},
        },
    ),
    # Visual question answering.
    "vqa_lstm_cnn": Small(
        {
            **CLASSES,
            "words": ("is", "it", "red", "what"),
            "width": 4,
            "image_size": 32,
            "features": 16,
            "embedding_size": 8,
            "hidden_size": 8,
            "common_size": 16,
        },
        (3, 32, 32),
    ),
    # Text to image.
    "gan_cls_64": Small(
        {"size": 8, "width": 4, "latent_size": 6, "text_size": 16, "words": ("a", "red", "seven")},
        None,
        trained_by="gan",
    ),
    # Pictures and speech.
    "resdavenet_vq": Small({**HEARD_AND_SEEN, "codebooks": (0, 12, 8, 0, 0)}, options=SPOKEN),
    "resdavenet": Small(HEARD_AND_SEEN, options=SPOKEN),
    # Speech.
    "tacotron2": Small(
        {"embedding": 16, "hidden": 24, "prenet": 8, "attention": 6, "postnet": 12, "mels": 10},
        None,
    ),
    # Speech separation.
    "looking_to_listen_2": Small(
        {
            "rate": 8000,
            "channels": 4,
            "face_channels": 6,
            "face_size": 8,
            "hidden": 10,
            "width": 12,
        },
        None,
    ),
}


def make_small(name: str, **config: Any) -> Model:
    """The small form of a model, always the same; ``config`` adds to the table's.

    What starts at zero is moved from it, for nothing below a layer of zeros would learn at the
    first step.
    """
    torch.manual_seed(0)
    small = SMALL[name]
    model = create_model(name, **{**small.config, **config})
    for parameter in model.parameters():
        if not parameter.is_meta and not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    if find_model(name).task == "classification":
        side = small.shape[1]
        model.preprocessing = {**model.preprocessing, "resize": side, "crop": side}
    return model
