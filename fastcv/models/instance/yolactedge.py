"""YolactEdge: YOLACT for video, which works out in full only every few frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.classes import default_classes
from fastcv.clips import ClipInput
from fastcv.models._registry import register
from fastcv.models.detection._detector import with_ids
from fastcv.models.instance.yolact import (
    COCO,
    MEAN,
    PROTOTYPES,
    SCALES,
    SIZE,
    STD,
    YOLACT,
    YOLACTOutput,
)
from fastcv.nn.backbones.mobilenet_v2 import MobileNetV2Trunk
from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.nn.backbones.yolact_fpn import enlarged, refined, top_down
from fastcv.nn.detection.level_priors import LevelPriors
from fastcv.nn.detection.tracks import Tracks
from fastcv.nn.detection.transform import DetectionTransform, ImageBatch
from fastcv.nn.layers.flow_net import (
    FeatureRefinement,
    FlowNet,
    Motion,
    from_pixels,
    in_pixels,
    leaky_conv,
)
from fastcv.nn.layers.frozen_batch_norm import FrozenBatchNorm2d
from fastcv.results import Instances

STAGES = 3  # of the backbone, the last ones
FLOW_CHANNELS = 64
KEYFRAME_INTERVAL = 5
YOUTUBE_VIS_CLASSES = 41  # with the background


class KeyFrame(NamedTuple):
    """What is kept of a key frame."""

    described: Tensor
    """``[B, flow_channels, h, w]``: what the flow net compares, at the finest size."""
    features: list[Tensor]
    """``[B, channels, h_l, w_l]`` of the coarser levels, in the midst of the pyramid."""


class VideoState(NamedTuple):
    """What ``predict_frame`` hands on to the next frame."""

    key: KeyFrame
    since: int
    """Frames since the key frame."""
    tracks: Tracks | None
    """The objects so far."""
    size: tuple[int, int]
    """Height and width of the frames."""


class PairOutput(NamedTuple):
    """Of a key frame and a later one: the later one's outputs, worked out in both ways."""

    full: YOLACTOutput
    moved: YOLACTOutput
    """From the key frame's features."""
    motions: list[Motion]
    """Between the two, at the sizes of all levels."""
    full_features: list[Tensor]
    """What the moved features should be, constants."""
    moved_features: list[Tensor]


class TopDown(nn.Module):
    """The first half of YOLACT's pyramid."""

    def __init__(self, lat_layers: nn.ModuleList) -> None:
        super().__init__()
        self.lat_layers = lat_layers

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        return top_down(maps, self.lat_layers)

    def lateral(self, finest: Tensor) -> Tensor:
        """The finest level's own share of its sum."""
        found: Tensor = self.lat_layers[-1](finest)
        return found


class Refined(nn.Module):
    """The second half."""

    def __init__(self, pred_layers: nn.ModuleList, downsample_layers: nn.ModuleList) -> None:
        super().__init__()
        self.pred_layers = pred_layers
        self.downsample_layers = downsample_layers

    def forward(self, sums: Sequence[Tensor]) -> list[Tensor]:
        return refined(sums, self.pred_layers, self.downsample_layers)


class YolactEdge(YOLACT):
    """YOLACT whose coarse features are moved from frame to frame.

    Of a clip's key frames everything is worked out. Of a frame between, the backbone makes its
    finest map alone; the coarser levels are the last key frame's, moved by a flow, scaled, and
    corrected.

    Args:
        backbone, transform, classes, channels, prototypes, priors: as of ``YOLACT``.
        flow_channels: of the flow net's first layers.
        video: whether there is a flow net; without one every frame is worked out in full.

    Source: Liu et al., "YolactEdge: Real-time Instance Segmentation on the Edge" (2021), figure 3.

    Example:
        >>> import torch
        >>> from fastcv.models import create_model
        >>> model = create_model(
        ...     "yolactedge_resnet18", num_classes=3, width=8, channels=16, prototypes=8, size=96,
        ...     flow_channels=8,
        ... )
        >>> clip = torch.rand(4, 3, 60, 80)
        >>> for frame, found in model.predict_video(clip, keyframe_interval=3):
        ...     print(found.masks.shape[1:])
        torch.Size([60, 80])
        torch.Size([60, 80])
        torch.Size([60, 80])
        torch.Size([60, 80])
    """

    def __init__(
        self,
        backbone: ResNetTrunk | MobileNetV2Trunk,
        transform: DetectionTransform,
        classes: Sequence[str],
        *,
        channels: int,
        prototypes: int,
        priors: LevelPriors,
        flow_channels: int = FLOW_CHANNELS,
        video: bool = True,
    ) -> None:
        super().__init__(
            backbone,  # type: ignore[arg-type]  # YOLACT names the trunks that it comes with
            transform,
            classes,
            channels=channels,
            prototypes=prototypes,
            priors=priors,
            stages=STAGES,
        )
        fpn = self.fpn
        del self.fpn  # its halves have names of their own: features are moved between them
        self.fpn_phase_1 = TopDown(fpn.lat_layers)
        self.fpn_phase_2 = Refined(fpn.pred_layers, fpn.downsample_layers)
        self.video = video
        if video:
            self.spa = FeatureRefinement(channels)
            self.flow_net_pre_convs = nn.ModuleDict(
                {"convs": nn.Sequential(leaky_conv(channels, flow_channels))}
            )
            self.flow_net = FlowNet(flow_channels, channels=channels, width=flow_channels)

    def pyramid(self, tensors: Tensor) -> list[Tensor]:
        levels: list[Tensor] = self.fpn_phase_2(self.fpn_phase_1(self._maps(tensors)))
        return levels

    def _maps(self, tensors: Tensor) -> list[Tensor]:
        """The backbone's maps that the pyramid is made of."""
        maps: list[Tensor] = self.backbone(tensors)[-STAGES:]
        return maps

    def finest_map(self, tensors: Tensor) -> Tensor:
        """The finest of these alone, at an 8th of the size: all that a frame between needs."""
        if isinstance(self.backbone, MobileNetV2Trunk):
            return self.backbone.maps(tensors, 1)[0]
        trunk = self.backbone
        assert isinstance(trunk, ResNetTrunk)
        x = trunk.maxpool(trunk.relu(trunk.bn1(trunk.conv1(tensors))))
        finest: Tensor = trunk.layer2(trunk.layer1(x))
        return finest

    def key_frame(self, maps: Sequence[Tensor], sums: Sequence[Tensor]) -> KeyFrame:
        """What is kept of a frame.

        Args:
            maps: of the backbone.
            sums: of the pyramid's first half.
        """
        lateral = self.fpn_phase_1.lateral(maps[0]).detach()  # as `forward` does with its own
        return KeyFrame(self._describe(lateral), list(sums[1:]))

    def moved(self, finest: Tensor, key: KeyFrame) -> tuple[list[Tensor], list[Motion]]:
        """The sums of the pyramid's first half for a frame between, from those of its key frame.

        Args:
            finest: ``finest_map`` of the frame.
            key: its key frame.

        Returns:
            the sums, finest first, and the motion of each coarser level.
        """
        lateral = self.fpn_phase_1.lateral(finest)
        found = self.flow_net.coarse(self._describe(lateral), key.described)
        motions = [found.half, found.quarter]
        return self._moved(lateral, key, motions), motions

    def _moved(self, lateral: Tensor, key: KeyFrame, motions: Sequence[Motion]) -> list[Tensor]:
        coarse = [motion.apply(x) for motion, x in zip(motions, key.features, strict=True)]
        return [enlarged(coarse[0], lateral) + lateral, *self.spa(lateral, coarse)]

    def _describe(self, lateral: Tensor) -> Tensor:
        described: Tensor = self.flow_net_pre_convs["convs"](lateral)
        return described

    def forward(self, images: Sequence[Tensor] | Tensor) -> YOLACTOutput | PairOutput:  # type: ignore[override]
        """The network's outputs.

        Args:
            images: a list of ``[3, H, W]`` of any sizes, or of pairs ``[2, 3, H, W]``, a key frame
                and a frame after it, to learn from; floating, in [0, 1].

        Raises:
            TypeError, ValueError: images of another kind or shape.
        """
        pairs = len(images) > 0 and all(isinstance(x, Tensor) and x.dim() == 4 for x in images)
        if not pairs or not self.video:
            return super().forward(images)
        if wrong := [list(x.shape) for x in images if len(x) != 2]:
            raise ValueError(f"a pair of frames must be [2, 3, H, W], got {wrong[0]}")
        with torch.no_grad():
            earlier = self.transform([x[0] for x in images]).tensors
            maps = self._maps(earlier)
            sums = self.fpn_phase_1(maps)
        key = self.key_frame(maps, sums)
        batch = self.transform([x[1] for x in images])
        size = (batch.tensors.shape[2], batch.tensors.shape[3])
        maps = self._maps(batch.tensors)
        sums = self.fpn_phase_1(maps)
        full = YOLACTOutput(batch, *self.heads(self.fpn_phase_2(sums), size))
        # As in the published training: what moves features does not change the backbone.
        lateral = self.fpn_phase_1.lateral(maps[0]).detach()
        motions = self.flow_net(self._describe(lateral), key.described)
        moved = self._moved(lateral, key, motions[1:])
        by_motion = YOLACTOutput(batch, *self.heads(self.fpn_phase_2(moved), size))
        targets = [x.detach() for x in sums[1:]]
        return PairOutput(full, by_motion, motions, targets, moved[1:])

    def loss(
        self, output: YOLACTOutput | PairOutput, targets: list[dict[str, Any]]
    ) -> dict[str, Tensor]:
        """YOLACT's four terms; of pairs also those below.

        Args:
            output: of ``forward``.
            targets: as for ``YOLACT``, of pairs those of the later frame. Where each has a ``flow``
                ``[2, H, W]``, in pixels as (x, y) to where in the key frame a pixel was, the flow
                net learns it.

        Returns:
            also ``moved_classification`` and so on, the four terms of the outputs that the moved
            features gave; ``feature_matching``, one less the cosine between moved features and
            those worked out in full, before and after the pyramid's next convolution; and ``flow``,
            the mean distance between the flows, summed over three sizes.

        Raises:
            ValueError: a target that cannot be right; the sentence names the image.

        Source: Liu et al. (2021), section 3.2, and the published training.
        """
        if isinstance(output, YOLACTOutput):
            return super().loss(output, targets)
        losses = super().loss(output.full, targets)
        moved = super().loss(output.moved, targets)
        losses |= {f"moved_{name}": loss for name, loss in moved.items()}
        losses["feature_matching"] = self._feature_matching(output)
        if any("flow" in target for target in targets):
            losses["flow"] = flow_loss(output.motions, _flows(targets, output.full.batch))
        return losses

    def _feature_matching(self, output: PairOutput) -> Tensor:
        costs = []
        *deeper, _ = self.fpn_phase_2.pred_layers  # deepest first
        for layer, moved, full in zip(
            reversed(deeper), output.moved_features, output.full_features, strict=True
        ):
            assert isinstance(layer, nn.Conv2d) and layer.bias is not None
            weight, bias = layer.weight.detach(), layer.bias.detach()
            after = [F.relu(F.conv2d(x, weight, bias, padding=1)) for x in (moved, full)]
            costs += [_one_less_cosine(moved, full), _one_less_cosine(*after)]
        return torch.stack(costs).mean()

    def flow(self, later: Tensor, earlier: Tensor) -> Tensor:
        """The flow that the finer of the moved levels is moved by, for people to look at.

        Args:
            later: a frame ``[3, H, W]``, uint8 or in [0, 1].
            earlier: a frame before it, of the same size.

        Returns:
            ``[2, H, W]`` as (x, y): how many pixels from where a pixel is to where it was.

        Example:
            >>> import torch
            >>> from fastcv.models import create_model
            >>> model = create_model(
            ...     "yolactedge_resnet18", width=8, channels=16, size=96, flow_channels=8
            ... )
            >>> frame = torch.rand(3, 60, 80)
            >>> model.eval().flow(frame, frame).abs().max()  # it starts as no motion
            tensor(0., grad_fn=<MaxBackward1>)
        """
        height, width = later.shape[1:]
        batch = self.transform([self.as_float(x) for x in (later, earlier)]).tensors
        new, old = self._describe(self.fpn_phase_1.lateral(self.finest_map(batch))).chunk(2)
        flow = self.flow_net.coarse(new, old).half.flow
        large = F.interpolate(flow, (height, width), mode="bilinear", align_corners=False)
        return in_pixels(large)[0]

    def predict_video(
        self,
        clip: ClipInput,
        *,
        keyframe_interval: int = KEYFRAME_INTERVAL,
        progress: bool = False,
        **options: Any,
    ) -> Iterator[tuple[Tensor, Any]]:
        """A result for each frame of a clip, as they come; frames are not kept.

        Args:
            clip: as for any model: a video file, a folder of frames, a tensor ``[T, 3, H, W]``, or
                pictures in order.
            keyframe_interval: the first frame and each one so many later is a key frame; at 1 all
                are.
            progress: show a progress bar.
            options: as for ``predict``, but for ``batch_size``: frames come one by one.

        Yields:
            ``(frame, result)``, as for any model.

        Raises:
            TypeError: a clip or an option of a kind that is not taken.
            ValueError: an interval below 1, a clip that cannot be read, or frames that differ in
                size.
            FileNotFoundError: a path that is not there.
        """
        if not isinstance(keyframe_interval, int) or keyframe_interval < 1:
            raise ValueError(f"keyframe_interval must be at least 1, got {keyframe_interval!r}")
        takes = [name for name in self.predict_options() if name != "batch_size"]
        self._check_options(options, "predict_video", [*takes, "keyframe_interval"])
        options["keyframe_interval"] = keyframe_interval
        return self._predict_frames(clip, progress, options)

    def predict_frame(  # type: ignore[override]  # it carries more
        self,
        frame: Tensor,
        state: VideoState | None,
        *,
        keyframe_interval: int = KEYFRAME_INTERVAL,
        **options: Any,
    ) -> tuple[Instances, VideoState]:
        """The result for a clip's next frame, and what the frame after it is told.

        The result has ids as those of all detectors have them.

        Args:
            frame: ``[3, H, W]``, uint8 or in [0, 1].
            state: None at the first frame, then what the last call returned.
            keyframe_interval, options: as of ``predict_video``.

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
        if state is None or state.since + 1 >= keyframe_interval or not self.video:
            maps = self._maps(batch.tensors)
            sums = self.fpn_phase_1(maps)
            key = self.key_frame(maps, sums) if self.video else KeyFrame(maps[0], [])
            state = VideoState(key, 0, state.tracks if state else None, size)
        else:
            sums, _ = self.moved(self.finest_map(batch.tensors), state.key)
            state = state._replace(since=state.since + 1)
        input_size = (batch.tensors.shape[2], batch.tensors.shape[3])
        output = YOLACTOutput(batch, *self.heads(self.fpn_phase_2(sums), input_size))
        (found,) = self.postprocess(output, **options)
        named, tracks = with_ids(found, state.tracks)
        return named, state._replace(tracks=tracks)


def _one_less_cosine(a: Tensor, b: Tensor) -> Tensor:
    return (1 - F.cosine_similarity(a, b)).mean()


def flow_loss(motions: Sequence[Motion], flows: Tensor) -> Tensor:
    """The mean distance between found and true flows, summed over the sizes.

    Args:
        motions: of ``FlowNet``.
        flows: ``[B, 2, H, W]`` in pixels of any size.
    """
    targets = from_pixels(flows)
    costs = []
    for motion in motions:
        found = motion.flow
        small = F.interpolate(targets, found.shape[-2:], mode="bilinear", align_corners=False)
        costs.append(torch.linalg.vector_norm(found - small.to(found.dtype), dim=1).mean())
    return torch.stack(costs).sum()


def _flows(targets: Sequence[dict[str, Any]], batch: ImageBatch) -> Tensor:
    """The true flows as one tensor, in pixels of the batch."""
    size = (batch.tensors.shape[2], batch.tensors.shape[3])
    flows = []
    for i, (target, old) in enumerate(zip(targets, batch.original_sizes, strict=True)):
        flow = target.get("flow")
        if not isinstance(flow, Tensor) or list(flow.shape) != [2, *old]:
            got = list(flow.shape) if isinstance(flow, Tensor) else type(flow).__name__
            raise ValueError(
                f"targets[{i}]: flow must be a tensor [2, {old[0]}, {old[1]}], got {got}"
            )
        relative = from_pixels(flow[None].to(batch.tensors))
        flows.append(F.interpolate(relative, size, mode="bilinear", align_corners=False))
    return in_pixels(torch.cat(flows))


def _yolactedge(
    backbone: ResNetTrunk | MobileNetV2Trunk,
    *,
    num_classes: int,
    channels: int = 256,
    prototypes: int = PROTOTYPES,
    size: int = SIZE,
    scales: Sequence[float] = SCALES,
    square_anchors: bool,
    flow_channels: int = FLOW_CHANNELS,
    video: bool = True,
) -> YolactEdge:
    names = COCO
    if num_classes != len(COCO):
        names = default_classes("coco", num_classes, with_background=True)
    return YolactEdge(
        backbone,
        DetectionTransform(mean=MEAN, std=STD, size_divisible=1, fixed_size=(size, size)),
        names,
        channels=channels,
        prototypes=prototypes,
        priors=LevelPriors(scales, square_anchors=square_anchors),
        flow_channels=flow_channels,
        video=video,
    )


def _resnet(depth: int, frozen_norm: bool) -> ResNetTrunk:
    return ResNetTrunk(depth, norm_layer=FrozenBatchNorm2d if frozen_norm else nn.BatchNorm2d)


@register("yolactedge_resnet50", task="instance")
def yolactedge_resnet50(
    *,
    num_classes: int = YOUTUBE_VIS_CLASSES,
    frozen_norm: bool = False,
    square_anchors: bool = True,
) -> YolactEdge:
    """YolactEdge on ResNet-50, for video; the published checkpoints load.

    Args:
        num_classes: with the background; of YouTube VIS by default.
        frozen_norm: keep the backbone's norms as they are loaded; right for fine-tuning with a few
            images a step, wrong for training from scratch.
        square_anchors: every prior is a square, as the published weights have learned.

    Source: Liu et al., "YolactEdge: Real-time Instance Segmentation on the Edge" (2021), table 1.
    """
    return _yolactedge(
        _resnet(50, frozen_norm), num_classes=num_classes, square_anchors=square_anchors
    )


@register("yolactedge_resnet101", task="instance")
def yolactedge_resnet101(
    *,
    num_classes: int = YOUTUBE_VIS_CLASSES,
    frozen_norm: bool = False,
    square_anchors: bool = True,
) -> YolactEdge:
    """YolactEdge on ResNet-101, for video; the published checkpoints load.

    Args:
        num_classes, frozen_norm, square_anchors: as of ``yolactedge_resnet50``.

    Source: Liu et al., "YolactEdge: Real-time Instance Segmentation on the Edge" (2021), table 1.
    """
    return _yolactedge(
        _resnet(101, frozen_norm), num_classes=num_classes, square_anchors=square_anchors
    )


@register("yolactedge_mobilenetv2", task="instance")
def yolactedge_mobilenetv2(
    *, num_classes: int = len(COCO), square_anchors: bool = True, video: bool = False
) -> YolactEdge:
    """YolactEdge on MobileNetV2; the published checkpoint, which is of pictures, loads.

    Args:
        num_classes: with the background; of COCO by default.
        square_anchors: as of ``yolactedge_resnet50``.
        video: with a flow net, which the published checkpoint has not.

    Source: Liu et al., "YolactEdge: Real-time Instance Segmentation on the Edge" (2021), table 2.
    """
    return _yolactedge(
        MobileNetV2Trunk(), num_classes=num_classes, square_anchors=square_anchors, video=video
    )


@register("yolactedge_resnet18", task="instance")
def yolactedge_resnet18(
    *,
    num_classes: int = len(COCO),
    width: int = 64,
    channels: int = 256,
    prototypes: int = PROTOTYPES,
    size: int = SIZE,
    scales: Sequence[float] = SCALES,
    flow_channels: int = FLOW_CHANNELS,
    square_anchors: bool = False,
) -> YolactEdge:
    """A smaller YolactEdge, on ResNet-18 of any width.

    Args:
        num_classes: with the background.
        width: channels of the backbone's first stage.
        channels: of the pyramid, the prototype net and the head.
        prototypes: how many there are.
        size: what images are resized to, height and width in pixels.
        scales: of the priors of each of the five levels, in pixels after resizing.
        flow_channels: of the flow net's first layers.
        square_anchors: as of ``yolactedge_resnet50``.
    """
    return _yolactedge(
        ResNetTrunk(18, width=width),
        num_classes=num_classes,
        channels=channels,
        prototypes=prototypes,
        size=size,
        scales=scales,
        flow_channels=flow_channels,
        square_anchors=square_anchors,
    )
