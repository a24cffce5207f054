"""DETR: object queries ask the whole image, and each answers with one object or none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.classes import class_names, default_classes
from fastcv.images import ImageInput, read_image
from fastcv.models._mode import evaluating
from fastcv.models._registry import register
from fastcv.models._weights import Weights
from fastcv.models.detection._detector import Detector
from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.nn.detection.targets import check_targets, without_crowds
from fastcv.nn.detection.transform import DetectionTransform, ImageBatch
from fastcv.nn.layers.frozen_batch_norm import FrozenBatchNorm2d
from fastcv.nn.layers.sine_position import SinePosition
from fastcv.nn.layers.transformer import Transformer, recorded_attention
from fastcv.nn.losses.set_loss import SetLoss
from fastcv.nn.precision import full_precision
from fastcv.ops import box_convert
from fastcv.results.attention_maps import AttentionMaps


class DETROutput(NamedTuple):
    """The network's outputs for a batch; at least float32."""

    batch: ImageBatch
    logits: Tensor
    """``[B, queries, classes + 1]`` of the last decoder layer; the last is for no object."""
    boxes: Tensor
    """``[B, queries, 4]`` as ``(cx, cy, w, h)``, in parts of each image's width and height."""
    earlier_logits: Tensor
    """``[layers - 1, B, queries, classes + 1]`` of the layers before, for the loss."""
    earlier_boxes: Tensor
    """``[layers - 1, B, queries, 4]``."""


class Backbone(nn.Module):
    """The last feature map of a trunk."""

    def __init__(self, body: ResNetTrunk) -> None:
        super().__init__()
        self.body = body

    def forward(self, images: Tensor) -> Tensor:
        return self.body(images)[-1]


class BoxHead(nn.Module):
    """Three linear layers, to a box as ``(cx, cy, w, h)`` within [0, 1]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        sizes = (channels, channels, channels, 4)
        self.layers = nn.ModuleList(nn.Linear(sizes[i], sizes[i + 1]) for i in range(3))

    def forward(self, x: Tensor) -> Tensor:
        first, second, last = self.layers
        return last(F.relu(second(F.relu(first(x))))).sigmoid()


class DETR(Detector):
    """DETR of any ResNet. The keys of its state are facebookresearch/detr's.

    Args:
        depth: of the ResNet.
        dilated: its last stage has stride 1 and dilation 2, for a map of twice the size (DC5).
        num_classes: with a background, as other detectors have it: no object has label 0, and no
            object at all is one more output.
        num_queries: an image's objects are so many at most.
        frozen_norm: keep the ResNet's norms as they are loaded; wrong for training from scratch.
        trainable_layers: of the ResNet, from the last stage backwards; 5 is all.
        width: channels of the ResNet's first stage.
        channels, heads, encoder_layers, decoder_layers, feedforward, dropout: of the transformer.
        min_size: the images' shorter side, in pixels, unless
        max_size: the longer one would exceed this.

    Source: Carion et al., "End-to-End Object Detection with Transformers" (2020), figure 2.

    Example:
        >>> import torch
        >>> from fastcv.models import create_model
        >>> model = create_model(
        ...     "detr_resnet18", num_classes=3, width=8, channels=16, heads=2, encoder_layers=1,
        ...     decoder_layers=2, feedforward=32, num_queries=5, min_size=64, max_size=96,
        ... )
        >>> images = [torch.rand(3, 60, 80), torch.rand(3, 64, 64)]
        >>> output = model(images)
        >>> output.logits.shape, output.boxes.shape
        (torch.Size([2, 5, 4]), torch.Size([2, 5, 4]))
        >>> boxes, labels = torch.tensor([[10.0, 10.0, 50.0, 40.0]]), torch.tensor([2])
        >>> sorted(model.loss(output, [{"boxes": boxes, "labels": labels}] * 2))
        ['loss_bbox', 'loss_bbox_0', 'loss_ce', 'loss_ce_0', 'loss_giou', 'loss_giou_0']
        >>> model.predict(images, score_threshold=0.99)
        [Detections(0 boxes in 60x80), Detections(0 boxes in 64x64)]
    """

    def __init__(
        self,
        depth: int,
        *,
        dilated: bool = False,
        num_classes: int = 91,
        num_queries: int = 100,
        frozen_norm: bool = True,
        trainable_layers: int = 5,
        width: int = 64,
        channels: int = 256,
        heads: int = 8,
        encoder_layers: int = 6,
        decoder_layers: int = 6,
        feedforward: int = 2048,
        dropout: float = 0.1,
        min_size: int = 800,
        max_size: int = 1333,
    ) -> None:
        super().__init__()
        self.transform = DetectionTransform(min_size, max_size, size_divisible=1)
        body = ResNetTrunk(
            depth,
            width=width,
            replace_stride_with_dilation=(False, False, dilated),
            norm_layer=FrozenBatchNorm2d if frozen_norm else nn.BatchNorm2d,
        )
        body.train_last(trainable_layers)
        # In a list: the checkpoints' keys are "backbone.0.body...".
        self.backbone = nn.ModuleList([Backbone(body), SinePosition(channels)])
        self.input_proj = nn.Conv2d(body.out_channels[-1], channels, 1)
        self.transformer = Transformer(
            channels,
            heads=heads,
            encoder_layers=encoder_layers,
            decoder_layers=decoder_layers,
            feedforward=feedforward,
            dropout=dropout,
        )
        self.query_embed = nn.Embedding(num_queries, channels)
        self.class_embed = nn.Linear(channels, num_classes + 1)
        self.bbox_embed = BoxHead(channels)
        self.set_loss = SetLoss()
        self.classes = default_classes("coco", num_classes, with_background=True)

    def forward(self, images: Sequence[Tensor] | Tensor) -> DETROutput:
        """The network's outputs.

        Args:
            images: a list of ``[3, H, W]`` of any sizes, or ``[B, 3, H, W]``; floating, in [0, 1].

        Raises:
            TypeError, ValueError: images of another kind or shape.
        """
        batch = self.transform(images)
        logits, boxes = self.dense(batch.tensors, padding_of(batch))
        return DETROutput(batch, logits[-1], boxes[-1], logits[:-1], boxes[:-1])

    def dense(self, tensors: Tensor, padding: Tensor) -> tuple[Tensor, Tensor]:
        """The network itself, of tensors alone.

        Args:
            tensors: ``[B, 3, H, W]``, normalised and padded.
            padding: ``[B, H, W]`` bool, true where there is no image.

        Returns:
            logits ``[layers, B, queries, classes + 1]`` and boxes ``[layers, B, queries, 4]``.
        """
        return self._answers(self.backbone[0](tensors), padding)

    def _answers(self, features: Tensor, padding: Tensor) -> tuple[Tensor, Tensor]:
        position = self.backbone[1]
        padding = F.interpolate(padding[:, None].float(), size=features.shape[-2:])[:, 0] > 0
        answers = self.transformer(
            self.input_proj(features),
            position(padding).to(features.dtype),
            padding,
            self.query_embed.weight,
        )
        return full_precision(self.class_embed(answers)), full_precision(self.bbox_embed(answers))

    def loss(self, output: DETROutput, targets: list[dict[str, Any]]) -> dict[str, Tensor]:
        """The paper's three terms for each decoder layer, each with a matching of its own.

        Args:
            output: of ``forward``.
            targets: for each image ``boxes`` ``[N, 4]`` in its pixels, ``labels`` ``[N]`` int64,
                1 and up, and where there are crowds ``iscrowd`` ``[N]``: these are left out.

        Returns:
            ``loss_ce``, ``loss_bbox``, ``loss_giou`` of the last layer; with ``_0``, ``_1``, ...
            those of the layers before.

        Raises:
            ValueError: a target that cannot be right; the sentence names the image and the box.
            ImportError: scipy, which finds the matching, is not installed.

        Source: Carion et al. (2020), equations 1 and 2.
        """
        check_targets(targets, len(output.logits), len(self.classes))
        objects = []
        for target, (height, width) in zip(targets, output.batch.original_sizes, strict=True):
            boxes, labels = without_crowds(target)
            parts = boxes.to(output.boxes) / output.boxes.new_tensor([width, height] * 2)
            objects.append((labels, box_convert(parts, "xyxy", "cxcywh")))
        losses = self.set_loss(output.logits, output.boxes, objects)
        layers = zip(output.earlier_logits, output.earlier_boxes, strict=True)
        for i, (logits, predicted) in enumerate(layers):
            terms = self.set_loss(logits, predicted, objects)
            losses |= {f"{name}_{i}": term for name, term in terms.items()}
        return losses

    def detect(
        self, output: DETROutput, *, score_threshold: float = 0.05, max_detections: int = 100
    ) -> list[FoundBoxes]:
        """Boxes of each image, in its own pixels, by falling score: tensors, for export.

        There is no suppression: the loss taught each query to leave alone what another has.

        Args:
            output: of ``forward``.
            score_threshold: the probability of a query's likeliest class must be above it.
            max_detections: of an image, at most.
        """
        found = []
        for logits, boxes, (height, width) in zip(
            output.logits, output.boxes, output.batch.original_sizes, strict=True
        ):
            scores, labels, order = self._surest(logits, score_threshold, max_detections)
            scale = boxes.new_tensor([width, height] * 2)
            corners = box_convert(boxes[order], "cxcywh", "xyxy") * scale
            found.append(FoundBoxes(corners, scores, labels))
        return found

    @staticmethod
    def _surest(
        logits: Tensor, score_threshold: float, max_detections: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Scores, labels and numbers of the queries that are sure enough, the surest first."""
        scores, labels = logits.softmax(dim=-1)[:, 1:-1].max(dim=-1)
        order = scores.argsort(descending=True)[:max_detections]
        order = order[scores[order] > score_threshold]
        return scores[order], labels[order] + 1, order

    def attention_maps(
        self,
        image: ImageInput,
        *,
        points: Sequence[tuple[float, float]] = (),
        score_threshold: float = 0.5,
    ) -> AttentionMaps:
        """Where the network looks: for each object found, and from points of the image.

        Args:
            image: in any form that ``predict`` takes.
            points: ``(x, y)`` in pixels of the image.
            score_threshold: objects must be surer.

        Returns:
            the last decoder layer's attention to the cells for each object, and the last encoder
            layer's for the cell of each point; with ``draw`` and ``save``.

        Raises:
            ValueError: a point outside the image.

        Source: Carion et al. (2020), figures 3 and 6.
        """
        picture = self.as_float(read_image(image))
        height, width = picture.shape[-2:]
        for x, y in points:
            if not (0 <= x < width and 0 <= y < height):
                raise ValueError(f"points must lie in the {height}x{width} image, got ({x}, {y})")
        encoder = self.transformer.encoder.layers[-1].get_submodule("self_attn")
        decoder = self.transformer.decoder.layers[-1].get_submodule("multihead_attn")
        with (
            evaluating(self),
            torch.inference_mode(),
            recorded_attention(encoder) as of_cells,
            recorded_attention(decoder) as of_queries,
        ):
            batch = self.transform([picture])
            features = self.backbone[0](batch.tensors)
            logits, boxes = self._answers(features, padding_of(batch))
        output = DETROutput(batch, logits[-1], boxes[-1], logits[:-1], boxes[:-1])
        queries = self._surest(output.logits[0], score_threshold, len(output.logits[0]))[-1]
        grid = features.shape[-2:]
        cells = [int(y / height * grid[0]) * grid[1] + int(x / width * grid[1]) for x, y in points]
        (detections,) = self.postprocess(
            output, score_threshold=score_threshold, max_detections=len(queries)
        )
        return AttentionMaps(
            detections,
            torch.unflatten(of_queries[0][0, queries], 1, grid),
            torch.unflatten(of_cells[0][0, cells], 1, grid),
            tuple(points),
        )


def padding_of(batch: ImageBatch) -> Tensor:
    """``[B, H, W]`` bool, true where a batch holds no image."""
    padding = batch.tensors.new_ones(batch.tensors[:, 0].shape, dtype=torch.bool)
    for image_padding, (height, width) in zip(padding, batch.sizes, strict=True):
        image_padding[:height, :width] = False
    return padding


def _published(file: str, ap: float, ap50: float) -> Weights:
    return Weights(
        name="COCO_V1",
        url=f"https://dl.fbaipublicfiles.com/detr/{file}",
        sha256=file.removesuffix(".pth").rsplit("-", 1)[1],
        classes=class_names("coco"),
        licence="Apache-2.0",
        source="facebookresearch/detr, hubconf.py; trained on COCO train2017",
        metric={"box mAP": ap, "box AP50": ap50},
        config={"trainable_layers": 3},  # as they were trained
    )


@register(
    "detr_resnet50",
    task="detection",
    weights=[_published("detr-r50-e632da11.pth", 42.0, 62.4)],
)
def detr_resnet50(**config: Any) -> DETR:
    """DETR on ResNet-50; ``config``: what ``DETR`` takes but the depth."""
    return DETR(50, **config)


@register(
    "detr_resnet50_dc5",
    task="detection",
    weights=[_published("detr-r50-dc5-f0fb7ef5.pth", 43.3, 63.1)],
)
def detr_resnet50_dc5(**config: Any) -> DETR:
    """DETR-DC5 on ResNet-50, whose last stage is dilated; ``config``: as ``detr_resnet50``."""
    return DETR(50, dilated=True, **config)


@register(
    "detr_resnet101",
    task="detection",
    weights=[_published("detr-r101-2c7b67e5.pth", 43.5, 63.8)],
)
def detr_resnet101(**config: Any) -> DETR:
    """DETR on ResNet-101; ``config``: as ``detr_resnet50``."""
    return DETR(101, **config)


@register(
    "detr_resnet101_dc5",
    task="detection",
    weights=[_published("detr-r101-dc5-a2e86def.pth", 44.9, 64.7)],
)
def detr_resnet101_dc5(**config: Any) -> DETR:
    """DETR-DC5 on ResNet-101, whose last stage is dilated; ``config``: as ``detr_resnet50``."""
    return DETR(101, dilated=True, **config)


@register("detr_resnet18", task="detection")
def detr_resnet18(*, frozen_norm: bool = False, **config: Any) -> DETR:
    """A smaller DETR, on ResNet-18, for training from scratch; ``config``: as ``detr_resnet50``."""
    return DETR(18, frozen_norm=frozen_norm, **config)
