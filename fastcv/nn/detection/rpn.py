"""Region proposal network: where there may be objects, whatever they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.nn.detection.anchors import AnchorGenerator
from fastcv.nn.detection.box_coder import BoxCoder
from fastcv.nn.detection.matching import BETWEEN, BalancedSampler, Matcher
from fastcv.nn.init import fill
from fastcv.nn.precision import full_precision
from fastcv.ops import batched_nms, box_iou, clip_boxes_to_image, remove_small_boxes


class RPNHead(nn.Module):
    """A 3x3 convolution, then for each anchor of a cell an objectness and four offsets.

    Args:
        in_channels: of every feature map.
        num_anchors: anchors of a cell.
        objectness_outputs: 1 for a logistic objectness; 2 for the paper's softmax of background
            and object.

    Its keys are torchvision's; those of old checkpoints (``conv.weight``) load as well.

    Source: Ren et al., "Faster R-CNN" (2015), figure 3.
    """

    def __init__(self, in_channels: int, num_anchors: int, objectness_outputs: int = 1) -> None:
        super().__init__()
        # In two Sequentials: the checkpoints' keys are "conv.0.0.weight".
        self.conv = nn.Sequential(
            nn.Sequential(nn.Conv2d(in_channels, in_channels, 3, padding=1), nn.ReLU(inplace=True))
        )
        self.cls_logits = nn.Conv2d(in_channels, num_anchors * objectness_outputs, 1)
        self.bbox_pred = nn.Conv2d(in_channels, num_anchors * 4, 1)
        self.objectness_outputs = objectness_outputs
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                fill(module.bias)

    def forward(self, features: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Outputs of every level, the anchors in the order of ``AnchorGenerator``.

        Args:
            features: ``[B, C, H, W]`` for each level.

        Returns:
            objectness, for each level ``[B, H * W * A]``, logits; and offsets, for each level
            ``[B, H * W * A, 4]``; both at least float32.
        """
        objectness, deltas = [], []
        for feature in features:
            hidden = self.conv(feature)
            logits = self.cls_logits(hidden)
            if self.objectness_outputs == 2:
                # softmax(background, object) is the sigmoid of the difference.
                background, thing = logits.chunk(2, dim=1)
                logits = thing - background
            objectness.append(full_precision(logits.permute(0, 2, 3, 1).flatten(1)))
            offsets = self.bbox_pred(hidden)  # A * 4 channels, the four of an anchor together
            deltas.append(full_precision(offsets.permute(0, 2, 3, 1).reshape(len(offsets), -1, 4)))
        return objectness, deltas

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for kind in ("weight", "bias"):
            old = f"{prefix}conv.{kind}"
            if old in state_dict:
                state_dict[f"{prefix}conv.0.0.{kind}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, *args)


class RPNOutput(NamedTuple):
    """The network's outputs for every anchor, level by level."""

    objectness: list[Tensor]
    """``[B, N_l]`` logits."""
    deltas: list[Tensor]
    """``[B, N_l, 4]``."""
    anchors: list[Tensor]
    """``[N_l, 4]``, the same for all images."""


class RegionProposalNetwork(nn.Module):
    """Proposes boxes, and learns to.

    Args:
        anchor_generator: the anchors of every level.
        head: ``features -> (objectness, deltas)``, as ``RPNHead``.
        fg_iou_thresh: anchors from this IoU on are objects.
        bg_iou_thresh: below it, background.
        batch_size_per_image: anchors of an image in the loss.
        positive_fraction: of these, at most so many objects.
        pre_nms_top_n: best anchors of a level that go into NMS, in training and otherwise.
        post_nms_top_n: best boxes of an image that come out of it, likewise.
        nms_thresh: IoU from which the lesser of two boxes of a level is dropped.
        min_size: sides of a proposal, at least; pixels of the input.
        ignore_cross_boundary: whether anchors that reach out of the image stay out of the loss.

    Source: Ren et al., "Faster R-CNN" (2015), section 3.1.
    """

    def __init__(
        self,
        anchor_generator: AnchorGenerator,
        head: nn.Module,
        *,
        fg_iou_thresh: float = 0.7,
        bg_iou_thresh: float = 0.3,
        batch_size_per_image: int = 256,
        positive_fraction: float = 0.5,
        pre_nms_top_n: tuple[int, int] = (2000, 1000),
        post_nms_top_n: tuple[int, int] = (2000, 1000),
        nms_thresh: float = 0.7,
        min_size: float = 1e-3,
        ignore_cross_boundary: bool = False,
    ) -> None:
        super().__init__()
        self.anchor_generator = anchor_generator
        self.head = head
        self.box_coder = BoxCoder()
        self.matcher = Matcher(fg_iou_thresh, bg_iou_thresh, allow_low_quality_matches=True)
        self.sampler = BalancedSampler(batch_size_per_image, positive_fraction)
        self.pre_nms_top_n = pre_nms_top_n
        self.post_nms_top_n = post_nms_top_n
        self.nms_thresh = nms_thresh
        self.min_size = min_size
        self.ignore_cross_boundary = ignore_cross_boundary

    def forward(self, features: Sequence[Tensor], input_size: tuple[int, int]) -> RPNOutput:
        """Objectness and offsets of every anchor.

        Args:
            features: ``[B, C, H, W]`` for each level.
            input_size: ``(height, width)`` of the network's input, padding included.
        """
        objectness, deltas = self.head(features)
        return RPNOutput(objectness, deltas, self.anchor_generator(input_size, features))

    @torch.no_grad()
    def propose(self, output: RPNOutput, image_sizes: Sequence[tuple[int, int]]) -> list[Tensor]:
        """The best boxes of each image; no gradient goes through them.

        Args:
            output: of ``forward``.
            image_sizes: each image's ``(height, width)`` in the input, without padding.

        Returns:
            for each image ``[N, 4]``, by falling objectness.
        """
        before, after = self._top_n()
        scores, deltas, anchors, levels = [], [], [], []
        for i, (level_logits, level_deltas, level_anchors) in enumerate(zip(*output, strict=True)):
            # Only these are ever decoded: a thousand of a quarter of a million.
            top, index = level_logits.topk(min(before, level_logits.shape[1]), dim=1)
            scores.append(top.sigmoid())
            deltas.append(level_deltas.gather(1, index[..., None].expand(-1, -1, 4)))
            anchors.append(level_anchors[index])
            levels.append(torch.full_like(index[0], i))
        level = torch.cat(levels)
        score = torch.cat(scores, dim=1)
        boxes = self.box_coder.decode(torch.cat(deltas, dim=1), torch.cat(anchors, dim=1))
        proposals = []
        for image_boxes, image_scores, size in zip(boxes, score, image_sizes, strict=True):
            clipped = clip_boxes_to_image(image_boxes, size)
            large = remove_small_boxes(clipped, self.min_size)
            clipped = clipped[large]
            keep = batched_nms(clipped, image_scores[large], level[large], self.nms_thresh)[:after]
            proposals.append(clipped[keep])
        return proposals

    def _top_n(self) -> tuple[int, int]:
        i = 0 if self.training else 1
        return self.pre_nms_top_n[i], self.post_nms_top_n[i]

    def loss(
        self,
        output: RPNOutput,
        boxes: Sequence[Tensor],
        image_sizes: Sequence[tuple[int, int]],
    ) -> dict[str, Tensor]:
        """``loss_objectness`` (cross-entropy) and ``loss_rpn_box_reg`` (smooth L1) of samples.

        Args:
            output: of ``forward``.
            boxes: for each image ``[N, 4]``, the objects' boxes in pixels of the input.
            image_sizes: as in ``propose``.
        """
        anchors = torch.cat(output.anchors)
        all_logits, all_deltas = torch.cat(output.objectness, 1), torch.cat(output.deltas, 1)
        logits, labels, deltas, target_deltas = [], [], [], []
        for i, objects in enumerate(boxes):
            objects = objects.to(anchors.dtype)
            matches = self.matcher(box_iou(objects, anchors))
            label = (matches >= 0).long().masked_fill_(matches == BETWEEN, -1)
            if self.ignore_cross_boundary:
                label.masked_fill_(_crosses_boundary(anchors, image_sizes[i]), -1)
            positive, negative = self.sampler(label)
            sampled = torch.cat([positive, negative])
            logits.append(all_logits[i, sampled])
            labels.append(label[sampled])
            deltas.append(all_deltas[i, positive])
            matched = objects[matches[positive]]
            target_deltas.append(self.box_coder.encode(matched, anchors[positive]))
        logit, label = torch.cat(logits), torch.cat(labels).to(all_logits.dtype)
        count = max(len(label), 1)
        # The paper divides the boxes' term by the anchor locations and weighs it by 10, which
        # comes to about the same; this is what its code does.
        return {
            "loss_objectness": F.binary_cross_entropy_with_logits(logit, label, reduction="sum")
            / count,
            "loss_rpn_box_reg": F.smooth_l1_loss(
                torch.cat(deltas), torch.cat(target_deltas), beta=1 / 9, reduction="sum"
            )
            / count,
        }


def _crosses_boundary(anchors: Tensor, size: tuple[int, int]) -> Tensor:
    x1, y1, x2, y2 = anchors.unbind(-1)
    return (x1 < 0) | (y1 < 0) | (x2 > size[1]) | (y2 > size[0])
