"""Which units of a layer answer to which concepts: network dissection, of generators too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.draw.typeface import FontPath
from fastcv.explain._checks import check_model, check_tensor
from fastcv.explain._inputs import pictures_of
from fastcv.explain._layers import explaining, recording, the_map
from fastcv.explain._pictures import Pictures
from fastcv.explain._quantile_sketch import QuantileSketch
from fastcv.images import ImageInput
from fastcv.models.generative._generator import Generator
from fastcv.models.segmentation._segmenter import Segmenter
from fastcv.results import Drawable, Gallery

MIN_IOU = 0.04  # above which a unit counts as a concept's
AT_A_TIME = 2**24  # numbers of enlarged maps in memory
TOP = 6  # pictures of a unit
SHOWN = 2  # units of a concept

Labeller = Callable[[Tensor], Tensor]


@dataclass(repr=False, eq=False)
class Dissection(Drawable):
    """How well each unit of a layer agrees with each concept.

    Args:
        iou: ``[U, C]``: of the places where a unit is above its threshold and those that have the
            label, the share that are both.
        thresholds: ``[U]``, the units' quantile over all pictures.
        concepts: names by label.
        layer: its name.
        top: ``[U, K]``, the pictures in which a unit is highest, by number.
        shown: of the two best units of each concept their pictures, darkened where they are off.
    """

    iou: Tensor
    thresholds: Tensor
    concepts: tuple[str, ...]
    layer: str
    top: Tensor
    shown: dict[int, list[Image.Image]]
    source: str | None = None

    @property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]
        """The concepts."""
        return self.concepts

    def units(self, concept: int | str, *, min_iou: float = MIN_IOU) -> list[int]:
        """The units whose IoU with a concept is above ``min_iou``, the best first.

        Raises:
            ValueError: no such concept.
        """
        iou = self.iou[:, self._label(concept)]
        order = iou.argsort(descending=True, stable=True)
        return [unit for unit in order.tolist() if iou[unit] > min_iou]

    def _label(self, concept: int | str) -> int:
        if concept in self.concepts:
            return self.concepts.index(str(concept))
        if isinstance(concept, int) and 0 <= concept < len(self.concepts):
            return concept
        raise ValueError(f"concept must be one of {', '.join(self.concepts)}, got {concept!r}")

    def __repr__(self) -> str:
        counts = [f"{name} {len(self.units(i))}" for i, name in enumerate(self.concepts)]
        return f"Dissection({self.layer}, units of: {', '.join(counts)})"

    def gallery(self) -> Gallery:
        """The two best units of each concept, a row each: the pictures in which it is highest."""
        pictures: list[Image.Image] = []
        captions: list[str] = []
        for label, name in enumerate(self.concepts):
            for unit in _best(self.iou)[:, label].tolist():
                pictures += self.shown[unit]
                about = f"{name}: unit {unit}, IoU {self.iou[unit, label]:.2f}"
                captions += [about, *[""] * (len(self.shown[unit]) - 1)]
        return Gallery(pictures, captions, columns=self.top.shape[1], title=repr(self))

    def draw(self, image: ImageInput | None = None, *, font: FontPath | None = None) -> Image.Image:
        """``gallery`` as a picture; it has its own pictures, so ``image`` must be None."""
        return self.gallery().draw(image, font=font)

    def to_dict(self) -> dict[str, Any]:
        """``layer``, and by concept ``units`` that count, the best first, with their ``iou``."""
        return {
            "file": self.source,
            "layer": self.layer,
            "concepts": [
                {
                    "label": label,
                    "name": name,
                    "units": (units := self.units(label)),
                    "iou": [float(self.iou[unit, label]) for unit in units],
                }
                for label, name in enumerate(self.concepts)
            ],
        }


def dissect(
    model: nn.Module,
    layer: str,
    inputs: Any,
    labeller: Segmenter | Labeller,
    *,
    concepts: Sequence[str] = (),
    quantile: float = 0.99,
    batch_size: int = 16,
) -> Dissection:
    """Compares each unit (channel) of a layer with each concept, over many pictures.

    A unit is on where its map, enlarged bilinearly to the labels' size, is above the unit's
    threshold. That is the quantile of all its cells in all pictures: a unit is on in 1 % of them.
    So its IoU with a concept that covers a share ``s`` of the pixels is at most ``0.01 / s``; for
    concepts that cover much, ask for a lower quantile.

    The model runs twice over the inputs: for the thresholds (a sketch, at most 1 % too high), and
    for the areas. What is in memory does not grow with their number.

    Args:
        model: a generator, whose samples are labelled, or any module that takes pictures.
        layer: its name, as ``model.named_modules()`` has it.
        inputs: of a generator latents ``[N, Z]``, such as those of ``model.latents(1000)``; else
            pictures as for ``neighbours``: a folder, files, pictures, a data set whose items are
            pictures or begin with one, or a floating-point batch ``[N, C, H, W]`` as ``forward``
            takes it. They are read a batch at a time.
        labeller: a segmenter of ours; or a function from pictures ``[B, 3, H, W]`` in [0, 1] to
            labels ``[B, h, w]``, integers. What is no concept's number is left out of the count.
        concepts: names by label; by default the segmenter's classes.
        quantile: of each unit's values.
        batch_size: pictures at a time.

    Raises:
        FileNotFoundError: no such file, or a folder without images.
        TypeError: inputs or a labeller of another kind.
        ValueError: no such layer, no inputs, no concepts, labels of another shape, a layer that
            gives NaN, a picture that cannot be read, or an argument out of its range.

    Source: Bau et al., "Network Dissection: Quantifying Interpretability of Deep Visual
        Representations" (2017), section 2; of generators: "GAN Dissection" (2019), section 3.1.

    Example:
        >>> from fastcv.explain import dissect
        >>> from fastcv.models.generative.progan import ProGAN
        >>> model = ProGAN((8, 8, 8))
        >>> def bright(pictures):
        ...     return (pictures.mean(dim=1) > 0.5).long()
        >>> found = dissect(model, "layer3", model.latents(20), bright, concepts=["dark", "bright"])
        >>> found.iou.shape, found.concepts
        (torch.Size([8, 2]), ('dark', 'bright'))
    """
    if not callable(labeller):
        raise TypeError(
            f"labeller must be a segmenter or a function of pictures, got {type(labeller).__name__}"
        )
    names = tuple(concepts) or (labeller.classes if isinstance(labeller, Segmenter) else ())
    if not names:
        raise ValueError("concepts are needed: the names by label of what the labeller tells apart")
    thresholds = unit_quantiles(model, layer, inputs, quantile, batch_size=batch_size)
    units = len(thresholds)
    both, of_unit = torch.zeros(2, units, len(names), dtype=torch.float64)
    of_concept = torch.zeros(len(names), dtype=torch.float64)
    peaks, top = torch.empty(units, 0), torch.empty(units, 0, dtype=torch.int64)
    seen = 0
    source = _source(model, inputs)
    for maps, pictures in _runs(model, layer, source, batch_size):
        labels = _labels(labeller, pictures).to(maps.device)
        for total, found in zip(
            (both, of_unit, of_concept), _areas(maps, labels, thresholds, len(names)), strict=True
        ):
            total += found
        numbers = torch.arange(seen, seen + len(maps)).expand(units, -1)
        peaks = torch.cat([peaks, maps.amax(dim=(2, 3)).T.cpu()], dim=1)
        peaks, order = peaks.topk(min(TOP, peaks.shape[1]), dim=1)
        top = torch.cat([top, numbers], dim=1).gather(1, order)
        seen += len(maps)
    iou = (both / (of_unit + of_concept - both).clamp(min=1)).float()
    shown = {
        unit: _pictures_of(model, layer, source, unit, top[unit], float(thresholds[unit]))
        for unit in set(_best(iou).flatten().tolist())
    }
    return Dissection(iou, thresholds, names, layer, top, shown)


def unit_quantiles(
    model: nn.Module, layer: str, inputs: Any, quantile: float = 0.99, *, batch_size: int = 16
) -> Tensor:
    """Of each unit (channel) of a layer the quantile of its cells in all pictures, ``[U]``.

    It is a sketch's, in one pass: at most 1 % above the true one, and not below it. A high one is
    what ``edit_units`` inserts.

    Args:
        model, layer, inputs, batch_size: as for ``dissect``.
        quantile: in (0, 1).

    Raises:
        FileNotFoundError, TypeError, ValueError: as ``dissect``.

    Example:
        >>> from fastcv.explain import unit_quantiles
        >>> from fastcv.models.generative.progan import ProGAN
        >>> model = ProGAN((8, 8, 8))
        >>> unit_quantiles(model, "layer2", model.latents(20)).shape
        torch.Size([8])
    """
    if not 0 < quantile < 1:
        raise ValueError(f"quantile must be above 0 and below 1, got {quantile}")
    sketch = None
    for maps, _ in _runs(model, layer, _source(model, inputs), batch_size):
        sketch = sketch or QuantileSketch(maps.shape[1])
        sketch.add(maps.transpose(0, 1).flatten(1))
    assert sketch is not None
    return sketch.quantile(quantile)


def _best(iou: Tensor) -> Tensor:
    """``[2, C]``: the units with the highest IoU with each concept."""
    return iou.topk(min(SHOWN, len(iou)), dim=0).indices


def _source(model: nn.Module, inputs: Any) -> Tensor | Pictures:
    """The inputs, by number: latents of a generator, or pictures."""
    check_model(model)
    if not isinstance(model, Generator):
        return Pictures(inputs)
    check_tensor("inputs", inputs)
    if inputs.ndim != 2:
        raise ValueError(
            "inputs must be latents [N, Z] of a generator, such as model.latents(1000), got "
            f"{list(inputs.shape)}"
        )
    if len(inputs) == 0:
        raise ValueError("inputs must be at least one, got none")
    latents: Tensor = inputs
    return latents


def _runs(
    model: nn.Module, layer: str, source: Tensor | Pictures, batch_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The layer's maps ``[B, U, h, w]`` and the pictures ``[B, 3, H, W]``, batch by batch."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    for numbers in _parts(len(source), batch_size):
        yield _run(model, layer, source, numbers)


def _run(
    model: nn.Module, layer: str, source: Tensor | Pictures, numbers: Tensor
) -> tuple[Tensor, Tensor]:
    if isinstance(source, Pictures):
        batch = source.batch(model, numbers.tolist())
    else:
        like = next(model.parameters(), source)
        batch = source[numbers.to(source.device)].to(like.device, like.dtype)
    with explaining(model), torch.no_grad(), recording(model, [layer]) as records:
        output = model(batch)
    _, maps = the_map(records, layer, len(batch))
    if bool(maps.isnan().any()):
        raise ValueError(f"layer {layer!r} must give numbers, and gives NaN of some of the inputs")
    if isinstance(model, Generator):
        pictures = model.to_pictures(output)
    else:
        pictures = pictures_of(model, batch)
    return maps.float(), pictures.float()


def _areas(
    maps: Tensor, labels: Tensor, thresholds: Tensor, concepts: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels of a batch: of units and concepts at once ``[U, C]``, of units ``[U, 1]``, of
    concepts ``[C]``.
    """
    kinds = (labels.flatten(1)[..., None] == torch.arange(concepts).to(labels)).float()
    known = kinds.sum(dim=2, keepdim=True)
    both, of_unit = [], []
    for part in _parts(maps.shape[1], max(1, AT_A_TIME // labels.numel())):
        on = _enlarged(maps[:, part], labels.shape[1:]).flatten(2)
        on = (on > thresholds[part].to(on)[:, None]).float()
        both.append(torch.matmul(on, kinds).sum(dim=0).cpu())
        of_unit.append(torch.matmul(on, known).sum(dim=0).cpu())
    return torch.cat(both), torch.cat(of_unit), kinds.sum(dim=(0, 1)).cpu()


def _labels(labeller: Segmenter | Labeller, pictures: Tensor) -> Tensor:
    if isinstance(labeller, Segmenter):
        found = labeller.predict(pictures, keep_scores=False)
        return torch.stack([one.labels for one in found]).long()
    labels = labeller(pictures)
    wrong = not isinstance(labels, Tensor) or labels.is_floating_point()
    if wrong or labels.ndim != 3 or len(labels) != len(pictures):
        got = (
            f"{labels.dtype} {list(labels.shape)}"
            if isinstance(labels, Tensor)
            else type(labels).__name__
        )
        raise ValueError(f"labeller must return integers [{len(pictures)}, h, w], got {got}")
    return labels.long()


def _parts(count: int, size: int) -> Iterator[Tensor]:
    """The numbers from 0 to ``count``, ``size`` at a time."""
    for first in range(0, count, size):
        yield torch.arange(first, min(first + size, count))


def _enlarged(maps: Tensor, size: Any) -> Tensor:
    return F.interpolate(maps, tuple(size), mode="bilinear", align_corners=False)


def _pictures_of(
    model: nn.Module,
    layer: str,
    source: Tensor | Pictures,
    unit: int,
    top: Tensor,
    threshold: float,
) -> list[Image.Image]:
    """A unit's pictures, darkened where it is not on."""
    maps, pictures = _run(model, layer, source, top)
    on = _enlarged(maps[:, [unit]], pictures.shape[2:]) > threshold
    shaded = pictures * torch.where(on, 1.0, 0.3)
    pixels = (shaded.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu()
    return [Image.fromarray(one.numpy()) for one in pixels]
