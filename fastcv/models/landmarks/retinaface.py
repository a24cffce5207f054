"""RetinaFace: faces and five landmarks of each, from three maps of one network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.models._registry import register
from fastcv.models._weights import Weights
from fastcv.models.landmarks._face_detector import FaceDetector, FoundFaces
from fastcv.models.landmarks._retinaface_onnx import read_onnx
from fastcv.nn.backbones.mobilenet_v1 import SLOPE, MobileNetV1Trunk, conv_norm
from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.nn.detection.box_coder import BoxCoder
from fastcv.nn.detection.dense_head import per_anchor
from fastcv.nn.detection.hard_negatives import hard_negatives
from fastcv.nn.detection.matching import MultiBoxMatcher
from fastcv.nn.detection.point_coder import PointCoder
from fastcv.nn.detection.roi_branch import Frame
from fastcv.nn.detection.square_priors import SquarePriors
from fastcv.nn.detection.ssh import SSHContext
from fastcv.nn.detection.targets import objects_in_batch, single_objects
from fastcv.nn.detection.transform import DetectionTransform, ImageBatch, resize_boxes
from fastcv.ops import batched_nms, box_iou, clip_boxes_to_image, remove_small_boxes

MEAN = (123 / 255, 117 / 255, 104 / 255)  # Caffe's, as RGB; pixels are 0 to 255 and not scaled
STRIDES = (8, 16, 32)
PRIOR_SIZES = ((16, 32), (64, 128), (256, 512))  # two for each stride, in pixels
NARROW = 64  # channels, up to which the pyramid's ReLUs leak
MATCHED, CLAIMED = 0.35, 0.2  # IoU of a face's priors, and of the one that it has in any case
NEGATIVES = 7  # for each positive prior
BOX_WEIGHT = 2.0
CANDIDATES = 5000  # priors that are decoded, at most
UNMARKED = -1  # the label of a face whose landmarks nobody has marked


class FaceOutput(NamedTuple):
    """The network's outputs for every prior."""

    batch: ImageBatch
    logits: Tensor
    """``[B, N, 2]``: no face, face."""
    deltas: Tensor
    """``[B, N, 4]``."""
    landmarks: Tensor
    """``[B, N, 10]``: x and y of five, as offsets from the prior."""
    priors: Tensor
    """``[N, 4]`` in pixels of the batch, the same for all images."""


class FaceTransform(DetectionTransform):
    """Images as the published weights know them: BGR, 0 to 255 less the means.

    They keep their size unless the longer side exceeds ``max_size``.
    """

    def __init__(self, max_size: int) -> None:
        super().__init__(max_size=max_size, mean=MEAN, std=(1 / 255,) * 3, size_divisible=1)

    def forward(self, images: Sequence[Tensor] | Tensor) -> ImageBatch:
        batch = super().forward(images)
        return batch._replace(tensors=batch.tensors.flip(1))

    def _scaled(self, height: int, width: int) -> tuple[int, int]:
        scale = min(1.0, self.max_size / max(height, width))
        return max(int(height * scale), 1), max(int(width * scale), 1)


class FacePyramid(nn.Module):
    """Three maps of equal channels; each is merged with the coarser one before the next finer.

    Args:
        in_channels: of the maps, finest first.
        channels: of every map that goes out.
        slope: of the leaky ReLUs.
    """

    def __init__(self, in_channels: Sequence[int], channels: int, slope: float) -> None:
        super().__init__()
        self.output1, self.output2, self.output3 = (
            conv_norm(inputs, channels, kernel=1, slope=slope) for inputs in in_channels
        )
        self.merge1 = conv_norm(channels, channels, slope=slope)
        self.merge2 = conv_norm(channels, channels, slope=slope)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        fine, middle, coarse = maps
        p5 = self.output3(coarse)
        p4 = self.merge2(_added(self.output2(middle), p5))
        p3 = self.merge1(_added(self.output1(fine), p4))
        return [p3, p4, p5]


def _added(fine: Tensor, coarse: Tensor) -> Tensor:
    return fine + F.interpolate(coarse, size=fine.shape[-2:], mode="nearest")


class FaceHead(nn.Module):
    """A 1x1 convolution to some numbers of each of a cell's priors."""

    def __init__(self, channels: int, priors: int, columns: int) -> None:
        super().__init__()
        self.columns = columns
        self.conv1x1 = nn.Conv2d(channels, priors * columns, 1)

    def forward(self, x: Tensor) -> Tensor:
        return per_anchor(self.conv1x1(x), self.columns)


class RetinaFace(FaceDetector):
    """A trunk, a pyramid, a context module and three heads on each of its maps.

    The keys are those of biubug6's checkpoints, with or without ``module.``; yakhyo's load too, and
    their ``.onnx``.

    Args:
        body: makes three maps of strides 8, 16 and 32 of images, or more coarser ones before them.
        channels: of the pyramid.
        prior_sizes: for each map, the sides of its square priors in pixels.
        max_size: images with a longer side are made smaller.

    Source: Deng et al., "RetinaFace: Single-Shot Multi-Level Face Localisation in the Wild" (2020).

    Example:
        >>> import torch
        >>> from fastcv.models import create_model
        >>> model = create_model("retinaface_mobilenet025")
        >>> landmarks = torch.tensor([[[30.0, 30], [50, 30], [40, 40], [32, 50], [48, 50]]])
        >>> target = {
        ...     "boxes": torch.tensor([[20.0, 10.0, 60.0, 60.0]]), "labels": torch.tensor([1]),
        ...     "keypoints": torch.cat([landmarks, torch.full((1, 5, 1), 2.0)], dim=2),
        ... }
        >>> losses = model.loss(model([torch.rand(3, 96, 128)]), [target])
        >>> sorted(losses)
        ['bbox_regression', 'classification', 'landmark_regression']
        >>> model.predict(torch.rand(3, 96, 128), score_threshold=1.0)
        [Faces(0 boxes in 96x128)]
    """

    def __init__(
        self,
        body: ResNetTrunk | MobileNetV1Trunk,
        channels: int,
        *,
        prior_sizes: Sequence[Sequence[float]] = PRIOR_SIZES,
        max_size: int = 1600,
    ) -> None:
        super().__init__()
        slope = SLOPE if channels <= NARROW else 0.0
        self.transform = FaceTransform(max_size)
        self.body = body
        self.fpn = FacePyramid(body.out_channels[-3:], channels, slope)
        self.ssh1, self.ssh2, self.ssh3 = (SSHContext(channels, slope) for _ in STRIDES)
        self.priors = SquarePriors(prior_sizes, STRIDES)
        self.ClassHead, self.BboxHead, self.LandmarkHead = (
            nn.ModuleList(FaceHead(channels, len(sizes), columns) for sizes in prior_sizes)
            for columns in (2, 4, 2 * len(self.schema))
        )
        self.matcher = MultiBoxMatcher(MATCHED, min_claim=CLAIMED)
        # The inverses of the "variances", 0.1 and 0.2.
        self.box_coder, self.point_coder = BoxCoder((10.0, 10.0, 5.0, 5.0)), PointCoder(10.0)

    def rename_key(self, key: str) -> str:
        """biubug6's keys after ``module.``, and yakhyo's, whose ``fx`` is our ``body``."""
        key = re.sub(r"^fx\.", "body.", key.removeprefix("module."))
        if old := re.fullmatch(r"(body\.stage\d\.\d)\.(\d)\.(\d)\.(\w+)", key):
            # There the two convolutions of a block are modules of three layers each.
            return f"{old[1]}.{3 * int(old[2]) + int(old[3])}.{old[4]}"
        if old := re.fullmatch(r"(class|bbox|landmark)_head\.\1_head\.(\d)\.(\w+)", key):
            return f"{old[1].capitalize()}Head.{old[2]}.conv1x1.{old[3]}"
        return key

    def read_checkpoint(self, path: Path) -> dict[str, Tensor]:
        """As of any model; yakhyo's ``.onnx`` is read too."""
        return read_onnx(path) if path.suffix == ".onnx" else super().read_checkpoint(path)

    def forward(self, images: Sequence[Tensor] | Tensor) -> FaceOutput:
        """The network's outputs.

        Args:
            images: a list of ``[3, H, W]`` of any sizes, or ``[B, 3, H, W]``; floating, in [0, 1].

        Raises:
            TypeError, ValueError: images of another kind or shape.
        """
        batch = self.transform(images)
        return FaceOutput(batch, *self.dense(batch.tensors))

    def dense(self, tensors: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits, offsets of boxes and of landmarks, and priors: all of ``FaceOutput`` but a batch.

        Args:
            tensors: ``[B, 3, H, W]`` as ``FaceTransform`` makes them.
        """
        levels = self.fpn(self.body(tensors)[-3:])
        contexts = (self.ssh1, self.ssh2, self.ssh3)
        maps = [context(level) for context, level in zip(contexts, levels, strict=True)]
        logits, deltas, landmarks = (
            torch.cat([head(x) for head, x in zip(heads, maps, strict=True)], dim=1)
            for heads in (self.ClassHead, self.BboxHead, self.LandmarkHead)
        )
        return logits, deltas, landmarks, torch.cat(self.priors(maps))

    def loss(self, output: FaceOutput, targets: list[dict[str, Any]]) -> dict[str, Tensor]:
        """The port's three terms over the matched priors of the batch; their sum is its loss.

        Args:
            output: of ``forward``.
            targets: for each image ``boxes`` ``[N, 4]`` in its pixels; ``labels`` ``[N]`` int64, 1,
                or -1 of a face whose landmarks are unknown; ``keypoints`` ``[N, 5, 3]`` (x, y,
                visibility; 0 does not count), without which no landmark is known; and where there
                are crowds ``iscrowd`` ``[N]``: these are left out.

        Returns:
            ``classification``, cross-entropy of matched priors and of seven times as many negatives
            of each image, the hardest; ``bbox_regression``, twice the smooth L1 of the offsets,
            both divided by the number of matched priors; ``landmark_regression``, smooth L1 of the
            landmarks' offsets, divided by the number of matched priors whose face has landmarks.

        Raises:
            ValueError: a target that cannot be right; the sentence names the image and the box.

        Source: Deng et al. (2020), section 3.1, without the dense branch; weights, thresholds and
            negatives as in biubug6's.
        """
        objects = objects_in_batch(
            _with_face_labels(targets), output.batch, len(self.classes), output.priors.dtype
        )
        logits, priors = output.logits, output.priors
        positive = torch.zeros(logits.shape[:2], dtype=torch.bool, device=logits.device)
        target_deltas, target_points, seen = [], [], []
        frames = zip(output.batch.original_sizes, output.batch.sizes, strict=True)
        for i, ((boxes, _), frame) in enumerate(zip(objects, frames, strict=True)):
            matches = self.matcher(box_iou(boxes, priors))
            matched = (matches >= 0).nonzero().flatten()
            faces, own = matches[matched], priors[matched]
            positive[i, matched] = True
            target_deltas.append(self.box_coder.encode(boxes[faces], own))
            points, visible = _landmarks(targets[i], i, boxes)
            points = Frame(*frame).to_batch(points)
            target_points.append(self.point_coder.encode(points[faces], own))
            seen.append(visible[faces])
        cost = F.cross_entropy(
            logits.flatten(0, 1), positive.flatten().long(), reduction="none"
        ).view_as(positive)
        counted = positive | hard_negatives(cost, positive, NEGATIVES)
        box_cost = F.smooth_l1_loss(
            output.deltas[positive], torch.cat(target_deltas).to(output.deltas), reduction="sum"
        )
        visible = torch.cat(seen)
        points = output.landmarks[positive].reshape(-1, len(self.schema), 2)
        point_cost = F.smooth_l1_loss(
            points[visible], torch.cat(target_points).to(points)[visible], reduction="sum"
        )
        count = positive.sum().clamp(min=1)
        return {
            "classification": (cost * counted).sum() / count,
            "bbox_regression": BOX_WEIGHT * box_cost / count,
            "landmark_regression": point_cost / visible.any(dim=1).sum().clamp(min=1),
        }

    def detect(
        self,
        output: FaceOutput,
        *,
        score_threshold: float = 0.02,
        iou_threshold: float = 0.4,
        max_detections: int = 750,
    ) -> list[FoundFaces]:
        """The faces of each image, in its own pixels, by falling score: tensors, for export.

        Args:
            output: of ``forward``.
            score_threshold: a face's probability must be above it. Of those, the 5000 best are
                decoded.
            iou_threshold: the lesser of two boxes that overlap more is dropped.
            max_detections: of an image, at most.
        """
        found = []
        for scores, deltas, landmarks, size, original_size in zip(
            output.logits.softmax(dim=2)[..., 1],
            output.deltas,
            output.landmarks,
            output.batch.sizes,
            output.batch.original_sizes,
            strict=True,
        ):
            top, index = scores.topk(min(CANDIDATES, len(scores)))
            sure = top > score_threshold
            top, index = top[sure], index[sure]
            priors = output.priors[index]
            boxes = self.box_coder.decode(deltas[index], priors)
            kept = batched_nms(boxes, top, torch.ones_like(index), iou_threshold)[:max_detections]
            boxes, top, index = clip_boxes_to_image(boxes[kept], size), top[kept], index[kept]
            inside = remove_small_boxes(boxes, min_size=1e-2)
            boxes, top, index = boxes[inside], top[inside], index[inside]
            offsets = landmarks[index].reshape(-1, len(self.schema), 2)
            points = self.point_coder.decode(offsets, output.priors[index])
            found.append(
                FoundFaces(
                    resize_boxes(boxes, size, original_size),
                    top,
                    torch.ones_like(index),
                    Frame(original_size, size).to_image(points),
                )
            )
        return found


def _with_face_labels(targets: Any) -> Any:
    """The targets with a label of 1 for faces whose landmarks are unknown; others as they come."""
    if not isinstance(targets, Sequence) or not all(isinstance(t, Mapping) for t in targets):
        return targets
    changed = []
    for target in targets:
        labels = target.get("labels")
        if isinstance(labels, Tensor) and labels.dtype == torch.int64:
            target = {**target, "labels": labels.masked_fill(labels == UNMARKED, 1)}
        changed.append(target)
    return changed


def _landmarks(target: Mapping[str, Any], number: int, boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Landmarks ``[N, 5, 2]`` of an image's faces, in its pixels, and which are known ``[N, 5]``.

    Args:
        target: one of ``loss``.
        number: of the image.
        boxes: the faces', for dtype and device.

    Raises:
        ValueError: keypoints of another shape or dtype, or a visible one that has no place.
    """
    if "keypoints" not in target:
        return boxes.new_zeros(len(boxes), 5, 2), boxes.new_zeros(len(boxes), 5).bool()
    keypoints, expected = target["keypoints"], [len(target["boxes"]), 5, 3]
    floating = isinstance(keypoints, Tensor) and keypoints.is_floating_point()
    if not floating or list(keypoints.shape) != expected:
        got = type(keypoints).__name__
        if isinstance(keypoints, Tensor):
            got = f"{keypoints.dtype} {list(keypoints.shape)}"
        raise ValueError(
            f"targets[{number}]: keypoints must be floating {expected}, five of each face, got "
            f"{got}"
        )
    known = (keypoints[..., 2] > 0) & (target["labels"] != UNMARKED)[:, None]
    lost = known & ~keypoints[..., :2].isfinite().all(dim=2)
    if bool(lost.any()):
        face, point = lost.nonzero()[0].tolist()
        raise ValueError(
            f"targets[{number}]: keypoint {point} of face {face} is visible and must have a place, "
            f"got {keypoints[face, point, :2].tolist()}"
        )
    single = single_objects(target)
    if single is not None:
        keypoints, known = keypoints[single], known[single]
    return keypoints[..., :2].to(boxes), known


def _published(file: str, sha256: str, easy: float, medium: float, hard: float) -> Weights:
    return Weights(
        name="WIDER",
        url=f"https://github.com/xinntao/facexlib/releases/download/v0.1.0/{file}",
        sha256=sha256,
        classes=FaceDetector.classes,
        licence="MIT",
        source="biubug6/Pytorch_Retinaface; trained on WIDER FACE",
        metric={"WIDER easy AP": easy, "WIDER medium AP": medium, "WIDER hard AP": hard},
    )


@register(
    "retinaface_resnet50",
    task="faces",
    weights=[
        _published(
            "detection_Resnet50_Final.pth",
            "6d1de9c2944f2ccddca5f5e010ea5ae64a39845a86311af6fdf30841b0a5a16d",
            *(95.48, 94.04, 84.43),
        )
    ],
)
def retinaface_resnet50(*, max_size: int = 1600) -> RetinaFace:
    """RetinaFace on ResNet-50, with 256 channels in its pyramid; biubug6's checkpoints load.

    Args:
        max_size: images with a longer side are made smaller, in pixels.

    Source: Deng et al., "RetinaFace" (2020).
    """
    return RetinaFace(ResNetTrunk(50), 256, max_size=max_size)


@register(
    "retinaface_mobilenet025",
    task="faces",
    weights=[
        _published(
            "detection_mobilenet0.25_Final.pth",
            "2979b33ffafda5d74b6948cd7a5b9a7a62f62b949cef24e95fd15d2883a65220",
            *(90.70, 88.16, 73.82),
        )
    ],
)
def retinaface_mobilenet025(
    *, prior_sizes: Sequence[Sequence[float]] = PRIOR_SIZES, max_size: int = 1600
) -> RetinaFace:
    """RetinaFace on a MobileNetV1 of a quarter of the width; biubug6's checkpoints load.

    Args:
        prior_sizes: for strides of 8, 16 and 32 the sides of the square priors, in pixels; fewer or
            more than two make heads that no checkpoint fits.
        max_size: images with a longer side are made smaller, in pixels.

    Source: Deng et al., "RetinaFace" (2020).
    """
    return RetinaFace(MobileNetV1Trunk(0.25), 64, prior_sizes=prior_sizes, max_size=max_size)
