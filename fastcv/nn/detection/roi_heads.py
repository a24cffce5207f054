"""RoI heads: what is in each proposed box, and where exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.nn.detection.box_coder import BoxCoder
from fastcv.nn.detection.boxes import FoundBoxes, suppressed
from fastcv.nn.detection.matching import BETWEEN, BalancedSampler, Matcher
from fastcv.nn.detection.roi_branch import Frame, RoIBranch, RoISamples
from fastcv.nn.detection.targets import single_objects
from fastcv.nn.precision import full_precision
from fastcv.ops import RoIPool, box_iou


class SingleLevelRoIPool(nn.Module):
    """RoIPool behind the interface of ``MultiScaleRoIAlign``, for backbones of one feature map.

    Args:
        output_size: bins along each axis.
        stride: pixels of the input per pixel of the feature map.

    Source: Girshick, "Fast R-CNN" (2015), section 2.1.
    """

    def __init__(self, output_size: int, stride: int) -> None:
        super().__init__()
        self.pool = RoIPool(output_size, spatial_scale=1 / stride)

    def forward(
        self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: Sequence[tuple[int, int]]
    ) -> Tensor:
        (level,) = x.values()
        return self.pool(level, boxes)


class TwoMLPHead(nn.Module):
    """Two fully connected layers, ``fc6`` and ``fc7``, over the pooled features of a box.

    Args:
        in_channels: numbers pooled for a box: channels x height x width.
        representation_size: numbers that come out.
        dropout: after each layer, in training.
    """

    def __init__(self, in_channels: int, representation_size: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.fc6 = nn.Linear(in_channels, representation_size)
        self.fc7 = nn.Linear(representation_size, representation_size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """``[K, C, h, w]`` to ``[K, representation_size]``."""
        x = self.dropout(F.relu(self.fc6(x.flatten(start_dim=1))))
        return self.dropout(F.relu(self.fc7(x)))


class FastRCNNPredictor(nn.Module):
    """Class logits, and for each class a box of its own.

    Args:
        in_channels: numbers of a box.
        num_classes: with the background, which is class 0.

    Source: Girshick, "Fast R-CNN" (2015), sections 2.1 and 2.3.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.cls_score = nn.Linear(in_channels, num_classes)
        self.bbox_pred = nn.Linear(in_channels, num_classes * 4)
        for layer, std in ((self.cls_score, 0.01), (self.bbox_pred, 0.001)):
            nn.init.normal_(layer.weight, std=std)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """``[K, in_channels]`` to ``[K, num_classes]`` and ``[K, num_classes * 4]``."""
        return self.cls_score(x), self.bbox_pred(x)


class RoIHeads(nn.Module):
    """Classifies and refines proposals, and learns to.

    Args:
        box_roi_pool: ``(features, boxes, image_sizes) -> [K, C, h, w]``, as ``MultiScaleRoIAlign``.
        box_head: ``[K, C, h, w] -> [K, D]``.
        box_predictor: ``[K, D] -> ([K, classes], [K, classes * 4])``.
        iou_thresh: proposals from this IoU with an object on are that object, others background.
        background_iou: background from this IoU with some object on; those that overlap less
            are left out, unless the image has no objects.
        batch_size_per_image: proposals of an image in the loss.
        positive_fraction: of these, at most so many objects.
        bbox_reg_weights: factors of the offsets, as in ``BoxCoder``.
        smooth_l1_beta: the error from which the boxes' loss grows linearly.

    Source: Girshick, "Fast R-CNN" (2015), sections 2.1 to 2.3.
    """

    def __init__(
        self,
        box_roi_pool: nn.Module,
        box_head: nn.Module,
        box_predictor: nn.Module,
        *,
        iou_thresh: float = 0.5,
        background_iou: float = 0.0,
        batch_size_per_image: int = 512,
        positive_fraction: float = 0.25,
        bbox_reg_weights: tuple[float, float, float, float] = (10.0, 10.0, 5.0, 5.0),
        smooth_l1_beta: float = 1 / 9,
    ) -> None:
        super().__init__()
        self.box_roi_pool = box_roi_pool
        self.box_head = box_head
        self.box_predictor = box_predictor
        self.matcher = Matcher(iou_thresh, iou_thresh)
        self.background_iou = background_iou
        self.sampler = BalancedSampler(batch_size_per_image, positive_fraction)
        self.box_coder = BoxCoder(bbox_reg_weights)
        self.smooth_l1_beta = smooth_l1_beta
        self.branches: dict[str, RoIBranch] = {}

    def add_branch(
        self, branch: RoIBranch, *, roi_pool: nn.Module, head: nn.Module, predictor: nn.Module
    ) -> None:
        """One more thing to say of each object; its layers are ``<name>_head`` and so on here.

        Args:
            branch: what it learns and what becomes of its outputs.
            roi_pool: ``(features, boxes, image_sizes) -> [K, C, h, w]``, as ``MultiScaleRoIAlign``.
            head: ``[K, C, h, w]`` to whatever the predictor takes.
            predictor: to the branch's output ``[K, ...]``.

        Raises:
            ValueError: there is a branch of that name.
        """
        if branch.name in self.branches:
            raise ValueError(f"there is a branch {branch.name!r} already")
        self.branches[branch.name] = branch
        for part, module in (("roi_pool", roi_pool), ("head", head), ("predictor", predictor)):
            self.add_module(f"{branch.name}_{part}", module)

    def branch_output(
        self,
        name: str,
        features: dict[str, Tensor],
        boxes: Sequence[Tensor],
        image_sizes: Sequence[tuple[int, int]],
    ) -> Tensor:
        """A branch's outputs ``[K, ...]`` for boxes of all images, at least float32."""
        pool, head, predictor = (
            self.get_submodule(f"{name}_{part}") for part in ("roi_pool", "head", "predictor")
        )
        output: Tensor = predictor(head(pool(features, list(boxes), list(image_sizes))))
        return full_precision(output)

    def branch_fields(
        self, features: dict[str, Tensor], found: Sequence[FoundBoxes], frames: Sequence[Frame]
    ) -> list[dict[str, Tensor]]:
        """What all branches say of each image's boxes.

        Args:
            features: ``[B, C, H_l, W_l]`` for each level.
            found: of ``detect``, in pixels of the batch.
            frames: of the images.
        """
        boxes, counts = [f.boxes for f in found], [f.boxes.shape[0] for f in found]
        fields: list[dict[str, Tensor]] = [{} for _ in found]
        for name, branch in self.branches.items():
            output = self.branch_output(name, features, boxes, [frame.size for frame in frames])
            parts = torch.split(output, counts)
            for own, part, one, frame in zip(fields, parts, found, frames, strict=True):
                own |= branch.fields(part, one, frame)
        return fields

    def forward(
        self,
        features: dict[str, Tensor],
        proposals: Sequence[Tensor],
        image_sizes: Sequence[tuple[int, int]],
    ) -> tuple[Tensor, Tensor]:
        """Classes and boxes of all proposals.

        Args:
            features: ``[B, C, H_l, W_l]`` for each level.
            proposals: for each image ``[N, 4]`` in pixels of the input.
            image_sizes: each image's ``(height, width)`` in the input, without padding.

        Returns:
            logits ``[K, classes]`` and offsets ``[K, classes, 4]``, image after image; at least
            float32.
        """
        pooled = self.box_roi_pool(features, list(proposals), list(image_sizes))
        logits, deltas = self.box_predictor(self.box_head(pooled))
        return full_precision(logits), torch.unflatten(full_precision(deltas), 1, (-1, 4))

    def loss(
        self,
        features: dict[str, Tensor],
        proposals: Sequence[Tensor],
        boxes: Sequence[Tensor],
        labels: Sequence[Tensor],
        image_sizes: Sequence[tuple[int, int]],
        targets: Sequence[Mapping[str, Any]] = (),
        original_sizes: Sequence[tuple[int, int]] = (),
    ) -> dict[str, Tensor]:
        """``loss_classifier`` (cross-entropy) and ``loss_box_reg`` (smooth L1) of samples.

        With branches also ``loss_<name>`` of each, of the samples that are objects.

        Args:
            features, proposals, image_sizes: as in ``forward``.
            boxes: for each image ``[N, 4]``, the objects' boxes in pixels of the input.
            labels: for each image ``[N]`` int64, 1 and up.
            targets: with branches, for each image the targets as they came, with what they need;
                ``boxes`` and ``labels`` are of those that are no crowds.
            original_sizes: with branches, height and width of each image as it came.

        Raises:
            ValueError: a target is not what a branch needs.
        """
        rows = self._branch_rows(targets, original_sizes)
        rois, sampled_labels, target_deltas = [], [], []
        for proposed, objects, object_labels in zip(proposals, boxes, labels, strict=True):
            sampled, label, deltas = self._samples(
                proposed, objects.to(proposed.dtype), object_labels
            )
            rois.append(sampled)
            sampled_labels.append(label)
            target_deltas.append(deltas)
        logits, offsets = self(features, rois, image_sizes)
        label = torch.cat(sampled_labels)
        positive = (label > 0).nonzero().flatten()
        boxes_loss = F.smooth_l1_loss(
            offsets[positive, label[positive]],
            torch.cat(target_deltas).to(offsets.dtype),
            beta=self.smooth_l1_beta,
            reduction="sum",
        )
        losses = {
            "loss_classifier": F.cross_entropy(logits, label),
            "loss_box_reg": boxes_loss / len(label),
        }
        positives = [
            (roi[own > 0], own[own > 0]) for roi, own in zip(rois, sampled_labels, strict=True)
        ]
        frames = [Frame(*sizes) for sizes in zip(original_sizes, image_sizes, strict=False)]
        for name, branch in self.branches.items():
            samples = [
                self._branch_samples(roi, own, there, row, frame, branch.min_iou)
                for (roi, own), there, row, frame in zip(
                    positives, boxes, rows[name], frames, strict=True
                )
            ]
            output = self.branch_output(name, features, [s.boxes for s in samples], image_sizes)
            loss = branch.loss(output, samples)
            if isinstance(loss, dict):
                losses |= {f"loss_{name}_{term}": value for term, value in loss.items()}
            else:
                losses[f"loss_{name}"] = loss
        return losses

    def _branch_samples(
        self,
        rois: Tensor,
        labels: Tensor,
        objects: Tensor,
        row: Mapping[str, Tensor],
        frame: Frame,
        min_iou: float,
    ) -> RoISamples:
        """Of one image's samples that are objects, those that overlap theirs by enough."""
        iou = box_iou(objects.to(rois.dtype), rois)
        matched = self.matcher(iou)
        near = iou.gather(0, matched[None])[0] > min_iou
        return RoISamples(rois[near], labels[near], matched[near], row, frame)

    def _branch_rows(
        self, targets: Sequence[Mapping[str, Any]], sizes: Sequence[tuple[int, int]]
    ) -> dict[str, list[dict[str, Tensor]]]:
        """What each branch needs of each image's objects that are no crowds.

        Raises:
            ValueError: a target lacks it, or it is of another shape.
        """
        rows: dict[str, list[dict[str, Tensor]]] = {name: [] for name in self.branches}
        for name, branch in self.branches.items():
            for i, (target, size) in enumerate(zip(targets, sizes, strict=True)):
                if wrong := branch.check(target, size):
                    raise ValueError(
                        f"targets[{i}]{'' if wrong.startswith('must') else ':'} {wrong}"
                    )
                rows[name].append(branch.rows(target, single_objects(target)))
        return rows

    @torch.no_grad()
    def _samples(
        self, proposals: Tensor, objects: Tensor, object_labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes of one image for the loss, their labels, and offsets of those that are objects."""
        # The objects' own boxes too: early on, few proposals overlap any.
        candidates = torch.cat([proposals, objects])
        iou = box_iou(objects, candidates)
        matches = self.matcher(iou)
        label = torch.zeros_like(matches)
        matched = matches >= 0
        label[matched] = object_labels[matches[matched]]
        label[matches == BETWEEN] = -1
        if len(objects) > 0:
            label[iou.amax(0) < self.background_iou] = -1
        sampled = torch.cat(self.sampler(label)).sort().values
        candidates, matches, label = candidates[sampled], matches[sampled], label[sampled]
        positive = label > 0
        deltas = self.box_coder.encode(objects[matches[positive]], candidates[positive])
        return candidates, label, deltas

    def detect(
        self,
        logits: Tensor,
        deltas: Tensor,
        proposals: Sequence[Tensor],
        image_sizes: Sequence[tuple[int, int]],
        *,
        score_threshold: float,
        iou_threshold: float,
        max_detections: int,
    ) -> list[FoundBoxes]:
        """The boxes of each image that stand out.

        Args:
            logits, deltas: of ``forward``.
            proposals, image_sizes: what ``forward`` was given.
            score_threshold: a class's probability must be above it.
            iou_threshold: the lesser of two boxes of a class that overlap more is dropped.
            max_detections: of an image, at most.
        """
        counts = [boxes.shape[0] for boxes in proposals]  # not len(): export traces sizes
        found = []
        for scores, offsets, image_proposals, size in zip(
            torch.split(logits.softmax(dim=-1), counts),
            torch.split(deltas, counts),
            proposals,
            image_sizes,
            strict=True,
        ):
            # Only what can be found is decoded, a few of the proposals times classes.
            proposal, label = (scores[:, 1:] > score_threshold).nonzero(as_tuple=True)
            label = label + 1
            kept = suppressed(
                self.box_coder.decode(offsets[proposal, label], image_proposals[proposal]),
                scores[proposal, label],
                label,
                size,
                iou_threshold=iou_threshold,
                max_detections=max_detections,
            )
            found.append(kept)
        return found
