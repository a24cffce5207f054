"""Keypoint R-CNN: Faster R-CNN with a branch that says where an object's keypoints are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastcv.classes.keypoints import KeypointSchema, keypoint_schema
from fastcv.models._registry import register
from fastcv.models._weights import Weights
from fastcv.models.detection._two_stage import TwoStageOutput
from fastcv.models.detection.faster_rcnn import FPN_ANCHORS, FasterRCNN, with_fpn
from fastcv.models.landmarks._keypoint_detector import KeypointDetector
from fastcv.nn.detection.keypoint_branch import KeypointBranch, KeypointHead, KeypointPredictor
from fastcv.ops import MultiScaleRoIAlign
from fastcv.results import Keypoints

MAP_SIZE = 14  # of the pooled features; the heatmaps are four times as high and wide
PERSON = ("background", "person")
Schema = KeypointSchema | Mapping[str, Any] | Sequence[str] | int


class KeypointRCNN(FasterRCNN, KeypointDetector):
    """Faster R-CNN with a keypoint branch.

    Arguments as of ``FasterRCNN``; ``add_keypoints`` gives it the branch.

    Source: He et al., "Mask R-CNN" (2017), section 5.

    Example:
        >>> import torch
        >>> from fastcv.models import create_model
        >>> model = create_model(
        ...     "keypointrcnn_resnet18_fpn", keypoints=["tip", "end"], width=8, fpn_channels=16,
        ...     head_channels=32, keypoint_channels=16, min_size=64, max_size=96,
        ... )
        >>> boxes, labels = torch.tensor([[10.0, 10.0, 50.0, 40.0]]), torch.tensor([1])
        >>> keypoints = torch.tensor([[[12.0, 20.0, 2.0], [45.0, 30.0, 2.0]]])
        >>> targets = [{"boxes": boxes, "labels": labels, "keypoints": keypoints}]
        >>> losses = model.loss(model([torch.rand(3, 60, 80)]), targets)
        >>> sorted(losses)[2]
        'loss_keypoint'
        >>> (found,) = model.predict(torch.rand(3, 60, 80), score_threshold=0.0)
        >>> found.keypoints.shape[1:], found.schema.names
        (torch.Size([2, 3]), ('tip', 'end'))
    """

    def add_keypoints(
        self, schema: KeypointSchema, *, fpn_channels: int, keypoint_channels: int
    ) -> None:
        """The keypoint branch.

        Args:
            schema: which keypoints.
            fpn_channels: channels of the pyramid.
            keypoint_channels: of the branch's eight convolutions.
        """
        self.schema = schema
        levels = ["0", "1", "2", "3"]
        self.roi_heads.add_branch(
            KeypointBranch(len(schema)),
            roi_pool=MultiScaleRoIAlign(levels, output_size=MAP_SIZE, sampling_ratio=2),
            head=KeypointHead(fpn_channels, [keypoint_channels] * 8),
            predictor=KeypointPredictor(keypoint_channels, len(schema)),
        )

    def postprocess(self, output: TwoStageOutput, **options: Any) -> list[Keypoints]:
        """What was found, with keypoints for each box.

        Args:
            output: of ``forward`` in eval mode.
            options: as of ``detect``.
        """
        results = []
        for found in super().postprocess(output, **options):
            fields = dict(found.fields)
            own: dict[str, Any] = {
                name: fields.pop(name) for name in ("keypoints", "keypoint_scores")
            }
            results.append(
                Keypoints(**{**vars(found), "fields": fields}, **own, schema=self.schema)
            )
        return results


def _published(name: str, file: str, metric: Mapping[str, float]) -> Weights:
    return Weights(
        name=name,
        url=f"https://download.pytorch.org/models/{file}",
        sha256=file.removesuffix(".pth")[-8:],
        classes=PERSON,
        licence="BSD-3-Clause",
        source="torchvision, references/detection; trained on COCO train2017",
        metric=metric,
        # As they were trained: a few images a step would spoil the statistics.
        config={"frozen_norm": True, "norm_eps": 0.0, "trainable_layers": 3},
    )


@register(
    "keypointrcnn_resnet50_fpn",
    task="keypoints",
    weights=[
        _published(
            "COCO_V1",
            "keypointrcnn_resnet50_fpn_coco-fc266e95.pth",
            {"box mAP": 54.6, "keypoint mAP": 65.0},
        )
    ],
)
def keypointrcnn_resnet50_fpn(
    *,
    num_classes: int = 2,
    keypoints: Schema = 17,
    frozen_norm: bool = False,
    norm_eps: float = 1e-5,
    trainable_layers: int = 5,
    min_size: int = 800,
    max_size: int = 1333,
) -> KeypointRCNN:
    """Keypoint R-CNN on ResNet-50 with a feature pyramid; torchvision's checkpoints load.

    Args:
        num_classes: with the background.
        keypoints: a ``KeypointSchema`` or its ``to_dict()``, names, or a number; 17 are those of
            a person in COCO.
        frozen_norm: keep the backbone's norms as they are loaded; right for fine-tuning with a few
            images a step, wrong for training from scratch.
        norm_eps: what frozen norms add to the variance; the published weights know none.
        trainable_layers: of the backbone, from the last stage backwards; 5 is all.
        min_size: the images' shorter side, in pixels, unless
        max_size: the longer one would exceed this.

    Source: He et al., "Mask R-CNN" (2017), section 5.
    """
    model = with_fpn(
        KeypointRCNN,
        50,
        num_classes=num_classes,
        frozen_norm=frozen_norm,
        norm_eps=norm_eps,
        trainable_layers=trainable_layers,
        min_size=min_size,
        max_size=max_size,
    )
    return _with_keypoints(model, keypoints, fpn_channels=256, keypoint_channels=512)


@register("keypointrcnn_resnet18_fpn", task="keypoints")
def keypointrcnn_resnet18_fpn(
    *,
    num_classes: int = 2,
    keypoints: Schema = 17,
    width: int = 64,
    fpn_channels: int = 256,
    head_channels: int = 1024,
    keypoint_channels: int = 512,
    rois_per_image: int = 512,
    anchor_sizes: Sequence[Sequence[float]] = FPN_ANCHORS,
    min_size: int = 800,
    max_size: int = 1333,
) -> KeypointRCNN:
    """A smaller Keypoint R-CNN, on ResNet-18 of any width with a feature pyramid.

    Args:
        num_classes: with the background.
        keypoints: a ``KeypointSchema`` or its ``to_dict()``, names, or a number; 17 are those of
            a person in COCO.
        width: channels of the backbone's first stage.
        fpn_channels: channels of the pyramid.
        head_channels: numbers that describe a proposal.
        keypoint_channels: of the keypoint branch's convolutions.
        rois_per_image: proposals of an image in the loss.
        anchor_sizes: sides of the anchors for each of the five levels, in pixels after resizing.
        min_size: the images' shorter side, in pixels, unless
        max_size: the longer one would exceed this.
    """
    model = with_fpn(
        KeypointRCNN,
        18,
        num_classes=num_classes,
        frozen_norm=False,
        width=width,
        fpn_channels=fpn_channels,
        head_channels=head_channels,
        rois_per_image=rois_per_image,
        anchor_sizes=anchor_sizes,
        min_size=min_size,
        max_size=max_size,
    )
    return _with_keypoints(
        model, keypoints, fpn_channels=fpn_channels, keypoint_channels=keypoint_channels
    )


def _with_keypoints(
    model: KeypointRCNN, keypoints: Schema, *, fpn_channels: int, keypoint_channels: int
) -> KeypointRCNN:
    model.add_keypoints(
        keypoint_schema(keypoints), fpn_channels=fpn_channels, keypoint_channels=keypoint_channels
    )
    if len(model.classes) == len(PERSON):
        model.classes = PERSON
    return model
