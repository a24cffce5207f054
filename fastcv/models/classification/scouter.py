"""SCOUTER: a slot for each class says why a picture is of it, or why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.classes import default_classes
from fastcv.models._registry import create_model, register
from fastcv.models.classification._with_class_maps import WithClassMaps
from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.nn.backbones.vgg import VGGTrunk
from fastcv.nn.layers.sine_position import SinePosition

WIDTH = 64  # of slots, keys and values
ITERATIONS = 3
Trunk = ResNetTrunk | VGGTrunk
SIZE = 260  # pixels along a side, of which ResNet's last map has 9 x 9 cells


class ScouterOutput(NamedTuple):
    """What training needs.

    Args:
        logits: ``[B, classes]``.
        attention: ``[B, slots, cells]``, from 0 to 1.
    """

    logits: Tensor
    attention: Tensor


class SlotAttention(nn.Module):
    """Slots that look at the cells of a map, and are told by a GRU what they saw.

    Args:
        num_classes: classes.
        slots_per_class: slots of each.
        key_layers: linear layers, with ReLUs between, that make keys of cells.
    """

    def __init__(self, num_classes: int, slots_per_class: int, key_layers: int) -> None:
        super().__init__()
        slots = num_classes * slots_per_class
        mean, deviation = torch.randn(1, 1, WIDTH), torch.randn(1, 1, WIDTH).abs()
        self.initial_slots = nn.Parameter(mean + deviation * torch.randn(1, slots, WIDTH))
        layers: list[nn.Module] = [nn.Linear(WIDTH, WIDTH)]
        for _ in range(key_layers - 1):
            layers += [nn.ReLU(inplace=True), nn.Linear(WIDTH, WIDTH)]
        self.to_k = nn.Sequential(*layers)
        # Checkpoints have it, and nothing reads it: the queries are the slots themselves.
        self.to_q = nn.Sequential(nn.Linear(WIDTH, WIDTH))
        self.to_q.requires_grad_(False)
        self.gru = nn.GRU(WIDTH, WIDTH)

    def forward(self, cells: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
        """Looks three times.

        Args:
            cells: ``[B, cells, 64]``, the values.
            position: ``[B, cells, 64]``, added for the keys alone.

        Returns:
            what each slot saw in its last look, ``[B, slots, 64]``, and its attention,
            ``[B, slots, cells]``, from 0 to 1.
        """
        keys = self.to_k(cells + position)
        slots = self.initial_slots.expand(len(cells), -1, -1)
        for _ in range(ITERATIONS):
            scores = slots @ keys.transpose(1, 2) / WIDTH**0.5
            # Each slot's scores add up to the sum of all slots'.
            of_slot = scores.sum(dim=2, keepdim=True)
            attention = (scores / of_slot * of_slot.sum(dim=1, keepdim=True)).sigmoid()
            seen = attention @ cells / WIDTH
            _, after = self.gru(seen.flatten(0, 1)[None], slots.flatten(0, 1)[None])
            slots = after[0].view_as(seen)
        return seen, attention


class Scouter(WithClassMaps):
    """A backbone's last map, slots that look at it, and a logit of what each class's slots saw.

    Attention is not normalised over the cells: a slot that sees nothing gives a logit near 0. The
    loss asks for small areas, so that of a positive model a slot lights up what speaks for its
    class; of a negative one logits are counted down, and it lights up what speaks against.

    Args:
        backbone: from normalised images to maps ``[B, channels, h, w]``; or a ``ResNetTrunk`` or
            a ``VGGTrunk``, of whose maps the last is taken.
        channels: of that map.
        num_classes: logits.
        slots_per_class: slots of each class, whose logits add up.
        key_layers: linear layers that make the keys; 1 or 3 in the paper's experiments.
        positive: whether it says "why" or "why not".
        area_weight: of the area's term of the loss, the paper's lambda.
        area_power: to which the mean attention is raised there.

    Source: Li et al., "SCOUTER: Slot Attention-based Classifier for Explainable Image Recognition"
        (2021); the keys and the order of computation are the authors' (wbw520/scouter).

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model("scouter_resnet18", width=8, num_classes=10)
        >>> images, labels = torch.rand(2, 3, 64, 96), torch.tensor([3, 8])
        >>> list(model.loss(model(images), labels))
        ['cross_entropy', 'area']
        >>> model.eval()(images).shape, model.class_maps(images).shape
        (torch.Size([2, 10]), torch.Size([2, 10, 2, 3]))
    """

    def __init__(
        self,
        backbone: nn.Module,
        channels: int,
        *,
        num_classes: int = 1000,
        slots_per_class: int = 1,
        key_layers: int = 1,
        positive: bool = True,
        area_weight: float = 1.0,
        area_power: float = 2.0,
    ) -> None:
        super().__init__()
        for name, value in (("slots_per_class", slots_per_class), ("key_layers", key_layers)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        self.backbone = backbone
        self.conv1x1 = nn.Conv2d(channels, WIDTH, 1)
        self.slot = SlotAttention(num_classes, slots_per_class, key_layers)
        self.position = SinePosition(WIDTH)
        self.slots_per_class = slots_per_class
        self.sign = 1 if positive else -1
        self.area_weight = area_weight
        self.area_power = area_power
        self.why = "why {}" if positive else "why not {}"
        self.classes = default_classes("imagenet", num_classes)
        self.preprocessing = {**self.preprocessing, "resize": SIZE, "crop": SIZE}

    def _look(self, images: Tensor) -> tuple[Tensor, Tensor, tuple[int, int]]:
        """Logits, attention, and the map's rows and columns."""
        trunk = self.backbone
        maps = trunk.stages(images)[-1] if isinstance(trunk, Trunk) else trunk(images)
        cells = F.relu(self.conv1x1(maps))
        batch, _, rows, columns = cells.shape
        inside = torch.zeros(batch, rows, columns, dtype=torch.bool, device=cells.device)
        position = self.position(inside).to(cells.dtype)
        seen, attention = self.slot(*(x.flatten(2).transpose(1, 2) for x in (cells, position)))
        return self.sign * self._of_classes(seen).sum(dim=2), attention, (rows, columns)

    def _of_classes(self, of_slots: Tensor) -> Tensor:
        """Sums over each class's slots: ``[B, slots, N]`` to ``[B, classes, N]``."""
        return torch.unflatten(of_slots, 1, (-1, self.slots_per_class)).sum(dim=2)

    def forward(self, images: Tensor) -> Tensor | ScouterOutput:
        """Logits ``[B, num_classes]`` of normalised images ``[B, 3, H, W]``.

        In training a ``ScouterOutput``: the attention, too.
        """
        logits, attention, _ = self._look(images)
        return ScouterOutput(logits, attention) if self.training else logits

    def class_maps(self, images: Tensor) -> Tensor:
        """The attention of each class's slots: where what speaks for it is, or against it.

        Args:
            images: normalised, ``[B, 3, H, W]``.

        Returns:
            ``[B, num_classes, h, w]``, each cell from 0 to the slots of a class.
        """
        _, attention, size = self._look(images)
        return torch.unflatten(self._of_classes(attention), 2, size)

    def loss(self, output: Tensor | ScouterOutput, targets: Tensor) -> dict[str, Tensor]:
        """The mean cross-entropy; in training the area that all slots look at, too.

        Args:
            output: of ``forward``.
            targets: labels ``[B]`` int64, or probabilities ``[B, classes]``.

        Returns:
            ``cross_entropy``, and ``area``: ``area_weight`` times the mean attention, raised to
            ``area_power``.

        Raises:
            ValueError: targets of another shape or dtype, or a label that no class has.
        """
        if not isinstance(output, ScouterOutput):
            return super().loss(output, targets)
        terms = super().loss(output.logits, targets)
        area = output.attention.mean().pow(self.area_power)
        return {**terms, "area": self.area_weight * area}


@register("scouter_resnet18", task="classification")
def scouter_resnet18(
    *,
    width: int = 64,
    replace_stride_with_dilation: Sequence[bool] = (False, False, False),
    **config: Any,
) -> Scouter:
    """SCOUTER on ResNet-18.

    Args:
        width, replace_stride_with_dilation: as of ``ResNetTrunk``.
        config: what ``Scouter`` takes, such as ``positive=False``.
    """
    trunk = ResNetTrunk(18, width=width, replace_stride_with_dilation=replace_stride_with_dilation)
    return Scouter(trunk, trunk.out_channels[-1], **config)


@register("scouter", task="classification")
def scouter(
    *,
    backbone: str = "mobilenet_v2",
    backbone_weights: str | None = None,
    backbone_config: dict[str, Any] | None = None,
    **config: Any,
) -> Scouter:
    """SCOUTER on the convolutions of another classifier.

    Args:
        backbone: the classifier's name: a ResNet, VGG, DenseNet, MobileNet or EfficientNet.
        backbone_weights: its weights, as ``create_model`` takes them.
        backbone_config: what its builder takes.
        config: what ``Scouter`` takes, such as ``num_classes``.

    Raises:
        ValueError: a backbone of another kind.

    Example:
        >>> import fastcv, torch
        >>> small = {"width": 0.25}
        >>> model = fastcv.create_model("scouter", backbone_config=small, num_classes=3)
        >>> model.eval()(torch.rand(1, 3, 64, 64)).shape
        torch.Size([1, 3])
    """
    model = create_model(backbone, backbone_weights, **(backbone_config or {}))
    return Scouter(*_convolutions_of(model, backbone), **config)


def _convolutions_of(model: nn.Module, name: str) -> tuple[nn.Module, int]:
    """What makes a classifier's last map, and that map's channels."""
    head = getattr(model, "classifier", None)
    if isinstance(model, Trunk):
        delattr(model, "fc" if head is None else "classifier")
        return model, model.out_channels[-1]
    linear = [m for m in head.modules() if isinstance(m, nn.Linear)] if head is not None else []
    if len(linear) == 1 and isinstance(model.features, nn.Sequential):
        return model.features, linear[0].in_features
    raise ValueError(
        "backbone must be a ResNet, VGG, DenseNet, MobileNet or EfficientNet, for their "
        f"convolutions can be had alone, got {name!r}"
    )
