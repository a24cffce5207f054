"""VPSNet: UPSNet for clips, whose features come from two frames, and whose objects keep ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.models._registry import register
from fastcv.models.panoptic._upsnet_parts import ANCHORS, upsnet_parts
from fastcv.models.panoptic._vpsnet_pairs import check_pairs, flow_loss, near_objects, places
from fastcv.models.panoptic.upsnet import STRIDE, UPSNet, UPSNetOutput
from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.nn.detection.targets import objects_in_batch
from fastcv.nn.detection.tracks import Tracks, follow, no_tracks
from fastcv.nn.detection.transform import DetectionTransform, ImageBatch, resize_boxes
from fastcv.nn.layers.frozen_batch_norm import FrozenBatchNorm2d
from fastcv.nn.panoptic.neighbour_fusion import NeighbourFusion
from fastcv.nn.panoptic.track_head import TrackHead, match_loss
from fastcv.results import Panoptic

CITYSCAPES_CLASSES, CITYSCAPES_STUFF = 19, 11
CITYSCAPES = (
    *("road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign"),
    *("vegetation", "terrain", "sky"),
    *("person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"),
)
GROUPS = 32  # of the semantic head's norms
MATCH_WEIGHT = 0.5  # of the track head's loss

Flow = Callable[[Tensor, Tensor], Tensor]


class PairOutput(NamedTuple):
    """Of an earlier frame and a later one."""

    later: UPSNetOutput
    """Its features know the earlier frame."""
    earlier_batch: ImageBatch
    earlier_features: dict[str, Tensor]
    flow: Tensor
    """``[B, 2, H / 4, W / 4]`` as (x, y), in pixels of that size: to where a pixel was."""


class VideoState(NamedTuple):
    """What ``predict_frame`` hands on to the next frame."""

    tensors: Tensor
    """``[1, 3, H, W]``, the frame as the backbone gets it."""
    features: dict[str, Tensor]
    """Its pyramid, which knows no other frame."""
    tracks: Tracks | None
    size: tuple[int, int]
    """Height and width of the frames."""


def no_flow(later: Tensor, earlier: Tensor) -> Tensor:
    """The guess that nothing moves; what moves by less than 16 pixels is found all the same.

    Args:
        later, earlier: ``[B, 3, H, W]``.

    Returns:
        ``[B, 2, H, W]``.
    """
    return torch.zeros_like(later[:, :2])


class VPSNet(UPSNet):
    """UPSNet whose pyramid is joined with that of the frame before, and with a track head.

    A picture, or a clip's first frame, is its own frame before.

    Args:
        upsnet: the parts that it shares, and their options.
        channels: of the pyramid.
        track_channels: numbers that the track head describes an object by.

    Source: Kim et al., "Video Panoptic Segmentation" (2020), figure 3.

    Example:
        >>> import torch
        >>> from fastcv.models import create_model
        >>> model = create_model(
        ...     "vpsnet_resnet18_fpn", num_classes=5, num_stuff=2, width=8, fpn_channels=32,
        ...     head_channels=32, mask_channels=8, semantic_channels=32, min_size=64, max_size=96,
        ... )
        >>> for frame, found in model.predict_video(torch.rand(3, 3, 60, 80)):
        ...     print(found.segment_map.shape)
        torch.Size([60, 80])
        torch.Size([60, 80])
        torch.Size([60, 80])
    """

    initial_flow: Flow = staticmethod(no_flow)
    """``initial_flow(later, earlier)``: a first guess of the flow from ``[B, 3, H, W]`` normalised
    frames, ``[B, 2, H, W]`` as (x, y) in their pixels: from where a pixel is to where it was."""

    def __init__(self, upsnet: UPSNet, *, channels: int, track_channels: int) -> None:
        super().__init__(
            upsnet.backbone,
            upsnet.rpn,
            upsnet.roi_heads,
            upsnet.semantic_head,
            upsnet.transform,
            upsnet.classes,
            num_stuff=upsnet.num_stuff,
            unknown=False,
            min_stuff_area=upsnet.min_stuff_area,
            semantic_weight=upsnet.semantic_weight,
            panoptic_weight=upsnet.panoptic_weight,
        )
        self.fusion = NeighbourFusion(channels)
        self.track_head = TrackHead(channels * 7 * 7, track_channels)

    def forward(self, images: Sequence[Tensor] | Tensor) -> UPSNetOutput | PairOutput:  # type: ignore[override]
        """The network's outputs.

        Args:
            images: a list of ``[3, H, W]`` of any sizes, or of pairs ``[2, 3, H, W]``, an earlier
                frame and a later one, to learn from; floating, in [0, 1].

        Raises:
            TypeError, ValueError: images of another kind or shape.
        """
        pairs = (
            isinstance(images, (list, tuple))
            and len(images) > 0
            and all(isinstance(x, Tensor) and x.dim() == 4 for x in images)
        )
        if not pairs:
            return super().forward(images)
        if wrong := [list(x.shape) for x in images if len(x) != 2]:
            raise ValueError(f"a pair of frames must be [2, 3, H, W], got {wrong[0]}")
        earlier = self.transform([x[0] for x in images])
        batch = self.transform([x[1] for x in images])
        before = self.backbone(earlier.tensors)
        features, flow = self.fused(
            self.backbone(batch.tensors), before, self._guess(batch.tensors, earlier.tensors)
        )
        later = self._output(batch, *self._heads(features, batch.tensors))
        return PairOutput(later, earlier, before, flow)

    def dense(self, tensors: Tensor) -> tuple[dict[str, Tensor], Tensor, Any]:
        """As of ``UPSNet``; each image is its own frame before."""
        features = self.backbone(tensors)
        fused, _ = self.fused(features, features, self._guess(tensors, tensors))
        return self._heads(fused, tensors)

    def fused(
        self, features: dict[str, Tensor], earlier: dict[str, Tensor], guess: Tensor
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The pyramid that knows an earlier frame, and the flow to it.

        Args:
            features: of the backbone.
            earlier: of the earlier frame, likewise.
            guess: ``[B, 2, H / 4, W / 4]``, a first flow in pixels of that size.
        """
        levels, flow = self.fusion(list(features.values()), list(earlier.values()), guess)
        return dict(zip(features, levels, strict=True)), flow

    def _guess(self, later: Tensor, earlier: Tensor) -> Tensor:
        """The initial flow at the size of the finest level."""
        with torch.no_grad():
            flow = self.initial_flow(later, earlier)
        shape = (len(later), 2, *later.shape[-2:])
        if flow.shape != shape:
            raise ValueError(f"initial_flow must give {list(shape)}, got {list(flow.shape)}")
        size = (shape[2] // STRIDE, shape[3] // STRIDE)
        return F.interpolate(flow, size, mode="bilinear", align_corners=False) / STRIDE

    # Training.

    def loss(
        self, output: UPSNetOutput | PairOutput, targets: list[dict[str, Any]]
    ) -> dict[str, Tensor]:
        """UPSNet's terms without the semantic head's of boxes; of pairs also those below.

        Args:
            output: of ``forward``.
            targets: as for ``UPSNet``, of pairs those of the later frame. They have ``ids`` ``[N]``
                int64 of the objects, and of the earlier frame ``earlier_boxes`` ``[M, 4]`` and
                ``earlier_ids`` ``[M]``. Where each has a ``flow`` ``[2, H, W]``, in pixels as
                (x, y) to where in the earlier frame a pixel was, the flow is learned from it too.

        Returns:
            also ``loss_match``, half the cross-entropy of which earlier object is in a box, of
            proposals that overlap one; and ``loss_flow``, the mean distance between the flows.

        Raises:
            TypeError, ValueError: a target that cannot be right; the sentence names the image.

        Source: Kim et al. (2020), section 4.3.
        """
        of_frame = output.later if isinstance(output, PairOutput) else output
        losses = super().loss(of_frame, targets)
        del losses["loss_semantic_roi"]
        if not isinstance(output, PairOutput):
            return losses
        check_pairs(targets)
        losses["loss_match"] = MATCH_WEIGHT * self._match_loss(output, targets)
        if any("flow" in target for target in targets):
            losses["loss_flow"] = flow_loss(output.flow, output.later.batch, targets, stride=STRIDE)
        return losses

    def _match_loss(self, output: PairOutput, targets: Sequence[dict[str, Any]]) -> Tensor:
        later = output.later
        objects = objects_in_batch(targets, later.batch, len(self.classes))
        earlier_boxes, boxes, matched = [], [], []
        for i, (target, (own, _)) in enumerate(zip(targets, objects, strict=True)):
            like = later.proposals[i]
            earlier_boxes.append(
                resize_boxes(
                    target["earlier_boxes"].to(like),
                    output.earlier_batch.original_sizes[i],
                    output.earlier_batch.sizes[i],
                )
            )
            sample, object_of = near_objects(later.proposals[i], own.to(like))
            boxes.append(sample)
            ids = target["ids"].to(like.device)[object_of]
            matched.append(places(ids, target["earlier_ids"].to(like.device)))
        new = self._describe(later.features, boxes, later.batch.sizes)
        old = self._describe(output.earlier_features, earlier_boxes, output.earlier_batch.sizes)
        return match_loss([self.track_head(*both) for both in zip(new, old, strict=True)], matched)

    def _describe(
        self,
        features: dict[str, Tensor],
        boxes: Sequence[Tensor],
        sizes: Sequence[tuple[int, int]],
    ) -> Sequence[Tensor]:
        """For each image ``[N, track_channels]`` of its boxes."""
        pooled = self.roi_heads.box_roi_pool(features, list(boxes), sizes)
        found: Tensor = self.track_head.describe(pooled)
        return torch.split(found, [len(b) for b in boxes])

    # Prediction.

    def postprocess(self, output: UPSNetOutput | PairOutput, **options: Any) -> list[Panoptic]:
        """As of ``UPSNet``; of pairs the later frames."""
        return super().postprocess(
            output.later if isinstance(output, PairOutput) else output, **options
        )

    def predict_frame(
        self,
        frame: Tensor,
        state: VideoState | None,
        *,
        max_overlap: float = 0.3,
        track: bool = True,
        **options: Any,
    ) -> tuple[Panoptic, VideoState]:
        """The result for a clip's next frame, and what the frame after it is told.

        Args:
            frame: ``[3, H, W]``, uint8 or in [0, 1].
            state: None at the first frame, then what the last call returned.
            max_overlap, options: as of ``postprocess``.
            track: whether the track head says which objects are the same; without it boxes alone
                do.

        Returns:
            the result: a stuff has its label + 1 as id in every frame, an object an id above
            those that stays; and the state.

        Raises:
            ValueError: the frame is of another size than the one before.
        """
        batch = self.transform([self.as_float(frame)])
        size = batch.original_sizes[0]
        if state is not None and state.size != size:
            raise ValueError(
                f"a clip's frames must be of one size, got {size[0]}x{size[1]} after "
                f"{state.size[0]}x{state.size[1]}"
            )
        features = self.backbone(batch.tensors)
        earlier = features if state is None else state.features
        tensors = batch.tensors if state is None else state.tensors
        fused, _ = self.fused(features, earlier, self._guess(batch.tensors, tensors))
        output = self._output(batch, *self._heads(fused, batch.tensors))
        ((found, masks, frame_sizes),) = self._instances(output, max_overlap, options)
        described, logits = None, None
        tracks = None if state is None else state.tracks
        if track:
            (described,) = self._describe(fused, [found.boxes], batch.sizes)
            tracks = no_tracks(found, described) if tracks is None else tracks
            logits = self.track_head(described, tracks.features)
        ids, tracks = follow(tracks, found, features=described, logits=logits)
        result = self._segments(output.semantic[0], found, masks, frame_sizes)
        named = with_ids(result, ids, self.num_stuff)
        return named, VideoState(batch.tensors, features, tracks, size)


def with_ids(found: Panoptic, ids: Tensor, num_stuff: int) -> Panoptic:
    """A result whose instances, numbered from ``num_stuff + 1``, get ids of their own.

    Args:
        found: as ``UPSNet`` gives it.
        ids: ``[N]`` int64, from 1: the id of instance i is ``num_stuff + ids[i]``.
        num_stuff: how many classes are stuff.
    """
    own = [0, *range(1, num_stuff + 1), *(num_stuff + i for i in ids.tolist())]
    table = torch.tensor(own, dtype=torch.int32, device=found.segment_map.device)
    segments = {own[s.id]: s for s in found.segments}
    return Panoptic.from_map(
        table[found.segment_map.long()],
        {id: s.label for id, s in segments.items()},
        found.classes,
        found.things,
        scores={id: s.score for id, s in segments.items() if s.score is not None},
        source=found.source,
    )


def _vpsnet(
    trunk: ResNetTrunk,
    *,
    num_classes: int,
    num_stuff: int,
    fpn_channels: int,
    track_channels: int,
    min_size: int,
    max_size: int,
    min_stuff_area: int,
    semantic_weight: float,
    panoptic_weight: float,
    **parts: Any,
) -> VPSNet:
    upsnet = UPSNet(
        **upsnet_parts(
            trunk,
            num_classes=num_classes,
            num_stuff=num_stuff,
            fpn_channels=fpn_channels,
            semantic_norm=partial(nn.GroupNorm, GROUPS),
            **parts,
        ),
        transform=DetectionTransform(min_size, max_size),
        unknown=False,
        min_stuff_area=min_stuff_area,
        semantic_weight=semantic_weight,
        panoptic_weight=panoptic_weight,
    )
    if (num_classes, num_stuff) == (CITYSCAPES_CLASSES, CITYSCAPES_STUFF):
        upsnet.classes = CITYSCAPES
    return VPSNet(upsnet, channels=fpn_channels, track_channels=track_channels)


@register("vpsnet_resnet50_fpn", task="panoptic")
def vpsnet_resnet50_fpn(
    *,
    num_classes: int = CITYSCAPES_CLASSES,
    num_stuff: int = CITYSCAPES_STUFF,
    min_stuff_area: int = 4096,
    semantic_weight: float = 1.0,
    panoptic_weight: float = 0.5,
    frozen_norm: bool = False,
    norm_eps: float = 1e-5,
    trainable_layers: int = 5,
    min_size: int = 1024,
    max_size: int = 2048,
) -> VPSNet:
    """VPSNet on ResNet-50 with a feature pyramid, as for Cityscapes-VPS.

    Args:
        num_classes: stuff and things.
        num_stuff: how many of them are stuff; these come first.
        min_stuff_area: stuff of fewer pixels in a picture is void.
        semantic_weight, panoptic_weight: of the losses of the two heads.
        frozen_norm: keep the backbone's norms as they are loaded; right for fine-tuning with a few
            images a step, wrong for training from scratch.
        norm_eps: what frozen norms add to the variance.
        trainable_layers: of the backbone, from the last stage backwards; 5 is all.
        min_size: the images' shorter side, in pixels, unless
        max_size: the longer one would exceed this.

    Source: Kim et al., "Video Panoptic Segmentation" (2020), section 5.
    """
    norm = partial(FrozenBatchNorm2d, eps=norm_eps) if frozen_norm else nn.BatchNorm2d
    return _vpsnet(
        ResNetTrunk(50, norm_layer=norm),
        num_classes=num_classes,
        num_stuff=num_stuff,
        fpn_channels=256,
        track_channels=1024,
        min_stuff_area=min_stuff_area,
        semantic_weight=semantic_weight,
        panoptic_weight=panoptic_weight,
        trainable_layers=trainable_layers,
        min_size=min_size,
        max_size=max_size,
    )


@register("vpsnet_resnet18_fpn", task="panoptic")
def vpsnet_resnet18_fpn(
    *,
    num_classes: int = CITYSCAPES_CLASSES,
    num_stuff: int = CITYSCAPES_STUFF,
    width: int = 64,
    fpn_channels: int = 256,
    head_channels: int = 1024,
    mask_channels: int = 256,
    semantic_channels: int = 128,
    rois_per_image: int = 512,
    anchor_sizes: Sequence[Sequence[float]] = ANCHORS,
    min_stuff_area: int = 4096,
    semantic_weight: float = 1.0,
    panoptic_weight: float = 0.5,
    min_size: int = 1024,
    max_size: int = 2048,
) -> VPSNet:
    """A smaller VPSNet, on ResNet-18 of any width with a feature pyramid.

    Args:
        num_classes: stuff and things.
        num_stuff: how many of them are stuff; these come first.
        width: channels of the backbone's first stage.
        fpn_channels: channels of the pyramid, a multiple of 32.
        head_channels: numbers that describe a proposal, and an object in the track head.
        mask_channels: of the mask branch's convolutions.
        semantic_channels: of the semantic head, for each level; a multiple of 32.
        rois_per_image: proposals of an image in the loss.
        anchor_sizes: sides of the anchors for each of the five levels, in pixels after resizing.
        min_stuff_area: stuff of fewer pixels in a picture is void.
        semantic_weight, panoptic_weight: of the losses of the two heads.
        min_size: the images' shorter side, in pixels, unless
        max_size: the longer one would exceed this.
    """
    return _vpsnet(
        ResNetTrunk(18, width=width),
        num_classes=num_classes,
        num_stuff=num_stuff,
        fpn_channels=fpn_channels,
        track_channels=head_channels,
        head_channels=head_channels,
        mask_channels=mask_channels,
        semantic_channels=semantic_channels,
        rois_per_image=rois_per_image,
        anchor_sizes=anchor_sizes,
        min_stuff_area=min_stuff_area,
        semantic_weight=semantic_weight,
        panoptic_weight=panoptic_weight,
        min_size=min_size,
        max_size=max_size,
    )
