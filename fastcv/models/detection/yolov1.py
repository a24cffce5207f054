"""YOLO v1: one look at the picture; each cell of a grid predicts what is centred in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fastcv.classes import default_classes
from fastcv.models._registry import register
from fastcv.models.detection._darknet import read_darknet
from fastcv.models.detection._detector import Detector
from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.nn.detection.targets import check_targets, without_crowds
from fastcv.nn.detection.transform import DetectionTransform, ImageBatch
from fastcv.nn.init import fill
from fastcv.nn.layers.locally_connected import LocallyConnected2d
from fastcv.nn.losses.yolo_loss import CellPredictions, YOLOLoss
from fastcv.nn.precision import full_precision
from fastcv.ops import batched_nms, box_convert, clip_boxes_to_image

POOL = "pool"
# (kernel, channels) of each convolution; the first has stride 2, as has one near the end.
FEATURES: tuple[tuple[int, int] | str, ...] = (
    (7, 64),
    POOL,
    (3, 192),
    POOL,
    *((1, 128), (3, 256), (1, 256), (3, 512)),
    POOL,
    *((1, 256), (3, 512)) * 4,
    *((1, 512), (3, 1024)),
    POOL,
    *((1, 512), (3, 1024)) * 2,
    *((3, 1024),) * 4,
)
STRIDED = (0, 21)  # of the 24 convolutions


class YOLOv1Output(NamedTuple):
    """The network's outputs for a batch; at least float32."""

    batch: ImageBatch
    predictions: Tensor
    """``[N, S, S, B * 5 + C]``: of each cell, B times x and y of the centre in the cell, square
    roots of width and height in parts of the image, confidence; then C classes."""


class YOLOv1(Detector):
    """YOLO v1 of any features and head.

    Args:
        features: images to the last maps.
        head: those maps to ``[N, S * S * (C + B * 5)]`` in darknet's order: classes of all cells,
            then the confidences, then the boxes.
        grid: S.
        boxes_per_cell: B.
        image_size: the side that images are resized to, whatever their proportions.
        classes: names by label; the first is the background, which has no output.

    Source: Redmon, Divvala, Girshick, Farhadi, "You Only Look Once: Unified, Real-Time Object
        Detection" (2016), figure 3.

    Example:
        >>> import torch
        >>> from fastcv.models import create_model
        >>> model = create_model(
        ...     "yolov1", num_classes=4, grid=2, boxes_per_cell=3, width=4, hidden=16
        ... )
        >>> images = [torch.rand(3, 60, 80), torch.rand(3, 64, 64)]
        >>> output = model(images)
        >>> output.predictions.shape
        torch.Size([2, 2, 2, 18])
        >>> boxes, labels = torch.tensor([[10.0, 10.0, 50.0, 40.0]]), torch.tensor([2])
        >>> list(model.loss(output, [{"boxes": boxes, "labels": labels}] * 2))
        ['loss_xy', 'loss_wh', 'loss_object', 'loss_no_object', 'loss_class']
        >>> model.predict(images, score_threshold=0.99)
        [Detections(0 boxes in 60x80), Detections(0 boxes in 64x64)]
    """

    def __init__(
        self,
        features: nn.Module,
        head: nn.Module,
        *,
        grid: int,
        boxes_per_cell: int,
        image_size: int,
        classes: Sequence[str],
    ) -> None:
        super().__init__()
        self.features = features
        self.head = head
        self.grid = grid
        self.boxes_per_cell = boxes_per_cell
        # Darknet's images are neither centred nor scaled.
        self.transform = DetectionTransform(
            mean=(0.0,) * 3,
            std=(1.0,) * 3,
            size_divisible=1,
            fixed_size=(image_size, image_size),
        )
        self.yolo_loss = YOLOLoss()
        self.classes = tuple(classes)

    def read_checkpoint(self, path: Path) -> dict[str, Tensor]:
        """Darknet's ``.weights``, too."""
        if path.suffix == ".weights":
            return read_darknet(path, self, outputs_per_class=self.grid**2)
        return super().read_checkpoint(path)

    def forward(self, images: Sequence[Tensor] | Tensor) -> YOLOv1Output:
        """The network's outputs.

        Args:
            images: a list of ``[3, H, W]`` of any sizes, or ``[N, 3, H, W]``; floating, in [0, 1].

        Raises:
            TypeError, ValueError: images of another kind or shape.
        """
        batch = self.transform(images)
        return YOLOv1Output(batch, self.dense(batch.tensors))

    def dense(self, tensors: Tensor) -> Tensor:
        """``[N, 3, side, side]`` of the images' side to ``[N, S, S, B * 5 + C]``."""
        flat = self.head(self.features(tensors))
        cells, boxes = self.grid**2, self.boxes_per_cell
        num_classes = len(self.classes) - 1
        parts = flat.split([cells * num_classes, cells * boxes, cells * boxes * 4], dim=1)
        classes, confidence, places = (p.unflatten(1, (self.grid, self.grid, -1)) for p in parts)
        boxed = torch.cat([places.unflatten(3, (boxes, 4)), confidence[..., None]], dim=-1)
        predictions = torch.cat([boxed.flatten(3), classes], dim=-1)
        return full_precision(predictions)

    def split(self, predictions: Tensor) -> CellPredictions:
        """The parts of ``predictions``."""
        boxed, classes = predictions.tensor_split([self.boxes_per_cell * 5], dim=-1)
        boxed = torch.unflatten(boxed, -1, (self.boxes_per_cell, 5))
        return CellPredictions(boxed[..., :4], boxed[..., 4], classes)

    def loss(self, output: YOLOv1Output, targets: list[dict[str, Any]]) -> dict[str, Tensor]:
        """The paper's five terms.

        Args:
            output: of ``forward``.
            targets: for each image ``boxes`` ``[K, 4]`` in its pixels, ``labels`` ``[K]`` int64,
                1 and up, and where there are crowds ``iscrowd`` ``[K]``: these are left out. Of
                objects with their centres in one cell the first counts.

        Returns:
            ``loss_xy``, ``loss_wh``, ``loss_object``, ``loss_no_object``, ``loss_class``.

        Raises:
            ValueError: a target that cannot be right; the sentence names the image and the box.

        Source: Redmon et al. (2016), equation 3.
        """
        check_targets(targets, len(output.predictions), len(self.classes))
        objects = []
        for target, (height, width) in zip(targets, output.batch.original_sizes, strict=True):
            boxes, labels = without_crowds(target)
            scale = output.predictions.new_tensor([width, height] * 2)
            parts = boxes.to(output.predictions) / scale
            objects.append((labels - 1, box_convert(parts, "xyxy", "cxcywh")))
        return self.yolo_loss(self.split(output.predictions), objects)

    def detect(
        self,
        output: YOLOv1Output,
        *,
        score_threshold: float = 0.05,
        iou_threshold: float = 0.5,
        max_detections: int = 100,
    ) -> list[FoundBoxes]:
        """Boxes of each image, in its own pixels, by falling score: tensors, for export.

        Args:
            output: of ``forward``.
            score_threshold: confidence times class must be above it.
            iou_threshold: the lesser of two boxes of a class that overlap more is dropped.
            max_detections: of an image, at most.
        """
        cells = self.split(output.predictions)
        scores = (cells.confidence[..., None] * cells.classes[..., None, :]).clamp(0, 1)
        corners = box_convert(cells.decoded(), "cxcywh", "xyxy")
        found = []
        for boxes, class_scores, (height, width) in zip(
            corners.flatten(1, 3), scores.flatten(1, 3), output.batch.original_sizes, strict=True
        ):
            boxes = clip_boxes_to_image(
                boxes * boxes.new_tensor([width, height] * 2), (height, width)
            )
            box, label = (class_scores > score_threshold).nonzero().unbind(1)
            boxes, score = boxes[box], class_scores[box, label]
            keep = batched_nms(boxes, score, label, iou_threshold)[:max_detections]
            found.append(FoundBoxes(boxes[keep], score[keep], label[keep] + 1))
        return found


def _features(width: int, last_stride: int, batch_norm: bool) -> nn.Sequential:
    """The 24 convolutions and four pools of figure 3, its 64 channels replaced by ``width``."""
    layers: list[nn.Module] = []
    inputs, number = 3, 0
    for layer in FEATURES:
        if isinstance(layer, str):
            layers.append(nn.MaxPool2d(2))
            continue
        kernel, outputs = layer[0], layer[1] * width // 64
        stride = {STRIDED[0]: 2, STRIDED[1]: last_stride}.get(number, 1)
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=not batch_norm)
        nn.init.kaiming_normal_(convolution.weight, a=0.1)
        layers.append(convolution)
        if batch_norm:
            layers.append(nn.BatchNorm2d(outputs, eps=1e-6))  # darknet's
        else:
            fill(convolution.bias)
        layers.append(nn.LeakyReLU(0.1))
        inputs, number = outputs, number + 1
    return nn.Sequential(*layers)


def _last(inputs: int, grid: int, boxes_per_cell: int, num_classes: int) -> nn.Linear:
    """The layer that makes all predictions; they start near zero."""
    layer = nn.Linear(inputs, grid**2 * (boxes_per_cell * 5 + num_classes - 1))
    nn.init.normal_(layer.weight, std=0.01)
    nn.init.zeros_(layer.bias)
    return layer


@register("yolov1", task="detection")
def yolov1(
    *,
    num_classes: int = 21,
    grid: int = 7,
    boxes_per_cell: int = 2,
    width: int = 64,
    hidden: int = 4096,
    last_stride: int = 2,
    batch_norm: bool = False,
    dropout: float = 0.5,
) -> YOLOv1:
    """YOLO v1 as in the paper: 24 convolutions, two fully connected layers.

    Args:
        num_classes: with the background, as other detectors have it; 21 for PASCAL VOC's 20.
        grid: cells along each side, S.
        boxes_per_cell: B.
        width: channels of the first convolution; those of the others are in proportion.
        hidden: numbers between the two fully connected layers.
        last_stride: of the last strided convolution: 1 for images of half the side and the same
            grid. Images are resized to ``grid * 32 * last_stride`` pixels.
        batch_norm: after each convolution; the paper has none, and starts from weights of a
            classifier instead.
        dropout: before the last layer, in training.

    Source: Redmon et al. (2016), figure 3.
    """
    classes = default_classes("voc", num_classes, with_background=True)
    channels = 1024 * width // 64
    first = nn.Linear(channels * grid**2, hidden)
    nn.init.kaiming_normal_(first.weight, a=0.1)
    head = nn.Sequential(
        nn.Flatten(),
        first,
        nn.LeakyReLU(0.1),
        nn.Dropout(dropout),
        _last(hidden, grid, boxes_per_cell, num_classes),
    )
    return YOLOv1(
        _features(width, last_stride, batch_norm),
        head,
        grid=grid,
        boxes_per_cell=boxes_per_cell,
        image_size=grid * 32 * last_stride,
        classes=classes,
    )


@register("yolov1_darknet", task="detection")
def yolov1_darknet(*, num_classes: int = 21) -> YOLOv1:
    """YOLO v1 as darknet's ``yolov1.cfg`` has it: norms, a local layer, three boxes a cell.

    Args:
        num_classes: with the background.

    Source: darknet, ``cfg/yolov1.cfg``.
    """
    classes = default_classes("voc", num_classes, with_background=True)
    head = nn.Sequential(
        LocallyConnected2d(1024, 256, (7, 7)),
        nn.LeakyReLU(0.1),
        nn.Flatten(),
        nn.Dropout(0.5),
        _last(256 * 7 * 7, 7, 3, num_classes),
    )
    return YOLOv1(
        _features(64, 2, batch_norm=True),
        head,
        grid=7,
        boxes_per_cell=3,
        image_size=448,
        classes=classes,
    )
