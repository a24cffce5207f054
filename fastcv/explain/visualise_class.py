"""Pictures that a network finds most like a class: its score is climbed by gradients."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.explain._checks import check_model
from fastcv.explain._gradients import gradients
from fastcv.explain._inputs import pictures_of
from fastcv.explain._layers import explaining
from fastcv.explain.targets import Resolved, Target, resolve, whole
from fastcv.models import ImageModel
from fastcv.results import Gallery

Start = Literal["zero", "black", "grey", "white", "noise"] | Tensor

LEVELS = {"black": 0.0, "grey": 0.5, "noise": 0.5, "white": 1.0}  # of pixels in [0, 1]
NOISE = 0.1  # standard deviation, in [0, 1]
SIDE = 224  # of a picture, where neither the model nor the caller says
OCTAVE = 1.4  # from one size to the next
BETWEEN_BLURS = 4  # steps


@dataclass(repr=False, eq=False)
class ClassPictures(Gallery):
    """What ``visualise_class`` returns: a picture for each start, in a grid.

    Args:
        images: ``[S, C, H, W]`` float32, as ``forward`` takes them.
        scores: ``[S, T + 1]`` float32, before each of T steps and after the last; no penalties.

    Others as of ``Gallery``.
    """

    images: Tensor = field(default_factory=lambda: torch.empty(0))
    scores: Tensor = field(default_factory=lambda: torch.empty(0))

    def to_dict(self) -> dict[str, Any]:
        """As of ``Gallery``, and ``scores``."""
        return {**super().to_dict(), "scores": self.scores.tolist()}


def visualise_class(
    model: nn.Module,
    target: Target,
    *,
    start: Start | Sequence[Start] = "zero",
    size: int | tuple[int, int] | None = None,
    steps: int = 100,
    lr: float = 0.1,
    l2: float = 0.0,
    tv: float = 0.0,
    blur: float = 0.0,
    jitter: int = 0,
    octaves: int = 1,
    seed: int = 0,
) -> ClassPictures:
    """Climbs from a plain picture to one that the model gives a high score.

    Each step goes up the gradient of ``score - l2 * sum(x^2) - tv * sum(|differences|)`` by the
    picture ``x``, as ``forward`` takes it. The score is the one before the softmax, which rises
    with what looks like the class, and not with what makes others unlikely. By default that is
    all: the score rises, and the picture is mostly fine noise. ``blur``, ``jitter`` and ``octaves``
    make pictures in which a person sees something.

    Args:
        model: one of ours, or any module.
        target: a class's number or name, or a function from the model's output to a score of each
            image, ``[B]``, such as ``fastcv.explain.targets.PixelScore``. Of a segmenter a class is
            its score, summed over all pixels.
        start: what to begin with: ``"zero"``, the mean colour of normalised images; ``"black"``,
            ``"grey"``, ``"white"``; ``"noise"`` about grey; a picture ``[C, H, W]`` as ``forward``
            takes it; or several of these, for a picture from each.
        size: height and width in pixels; None: the model's own, or that of a start that is a
            picture.
        steps: of each octave.
        lr: how far a step goes: the root mean square of what it changes of a picture's values.
            Without ``blur`` and ``jitter`` a step that leads down is taken back, and the next ones
            are half as long.
        l2: weight of the sum of squares, in units of the score.
        tv: weight of the sum of differences between neighbouring pixels (total variation).
        blur: standard deviation in pixels of a Gaussian that the picture goes through after every
            fourth step; within an octave it falls to 0.
        jitter: pixels by which the picture is rolled at random before a step, at most, down and
            across.
        octaves: how many times the picture is climbed, each time 1.4 times as large; the last is
            of ``size``. The model must take several sizes.
        seed: of noise and jitter.

    For a model of ours that says how it normalises, the picture stays one: what leaves [0, 1]
    before the normalisation is clipped.

    Returns:
        A picture for each start, and its ``images`` and ``scores``.

    Raises:
        ValueError: an option that is out of its range, starts of several sizes, a class that there
            is not, or a score without a gradient.
        TypeError: a target or a start of another kind.

    Source: Simonyan, Vedaldi, Zisserman, "Deep Inside Convolutional Networks" (2014), section 2:
        the score before the softmax, and ``l2``. Yosinski et al., "Understanding Neural Networks
        Through Deep Visualization" (2015), section 3: ``blur``. Mahendran and Vedaldi, "Visualizing
        Deep Convolutional Neural Networks Using Natural Pre-Images" (2016): ``tv`` and ``jitter``.

    Example:
        >>> import torch
        >>> from fastcv import create_model, explain
        >>> model = create_model("resnet18", num_classes=3, width=8)
        >>> found = explain.visualise_class(model, 2, start=("grey", "noise"), size=48, steps=5)
        >>> found, found.images.shape, found.scores.shape
        (ClassPictures(class 2, 2 pictures), torch.Size([2, 3, 48, 48]), torch.Size([2, 6]))
        >>> bool((found.scores[:, -1] > found.scores[:, 0]).all())
        True
    """
    check_model(model)
    _check(steps, lr, l2, tv, blur, jitter, octaves)
    random = torch.Generator().manual_seed(seed)
    starts = [start] if isinstance(start, (str, Tensor)) else list(start)
    with torch.inference_mode(False), torch.no_grad():
        pictures = _begin(model, starts, size, random)
    height, width = pictures.shape[2:]
    is_steady = jitter == 0 and blur == 0
    curve: list[Tensor] = []
    with explaining(model):
        with torch.no_grad():
            output = model(pictures)
        resolved = resolve(model, output, whole(model, output, target), len(pictures))
        hill = _Hill(model, resolved, l2, tv)
        for octave in range(octaves):
            share = OCTAVE ** (octave - octaves + 1)
            sides = max(1, round(height * share)), max(1, round(width * share))
            here = hill.at(_resized(pictures, sides), _shift(jitter, random))
            reach = torch.full_like(here.pictures[:, :1, :1, :1], lr)
            for step in range(steps):
                curve.append(here.scores)
                pictures = here.pictures + reach * here.up
                if blur > 0 and (step + 1) % BETWEEN_BLURS == 0:
                    pictures = _blurred(pictures, blur * (1 - (step + 1) / steps))
                there = hill.at(_clipped(model, pictures), _shift(jitter, random))
                if is_steady:
                    is_higher = there.goals >= here.goals
                    reach = torch.where(is_higher[:, None, None, None], reach, reach / 2)
                    there = there.or_else(here, is_higher)
                here = there
            pictures = here.pictures
        curve.append(here.scores)
        shown = pictures_of(model, pictures)
    return ClassPictures(
        [_picture(one) for one in shown],
        [one if isinstance(one, str) else "a picture" for one in starts],
        title=resolved.names[0],
        images=pictures.float(),
        scores=torch.stack(curve, dim=1),
    )


@dataclass(frozen=True)
class _Place:
    """Pictures ``[S, C, H, W]``, and what was found there.

    Args:
        pictures: where.
        scores: of the target, ``[S]``.
        goals: these less the penalties, ``[S]``.
        up: the gradient of the goals by the pictures, of a root mean square of 1 for each.
    """

    pictures: Tensor
    scores: Tensor
    goals: Tensor
    up: Tensor

    def or_else(self, other: _Place, is_kept: Tensor) -> _Place:
        """Of each picture this place, or the other."""
        mask = is_kept[:, None, None, None]
        return _Place(
            torch.where(mask, self.pictures, other.pictures),
            torch.where(is_kept, self.scores, other.scores),
            torch.where(is_kept, self.goals, other.goals),
            torch.where(mask, self.up, other.up),
        )


@dataclass(frozen=True)
class _Hill:
    model: nn.Module
    resolved: Resolved
    l2: float
    tv: float

    def at(self, pictures: Tensor, shift: tuple[int, int]) -> _Place:
        """What is found at pictures, which are rolled by ``shift`` for it."""
        x = pictures.detach().roll(shift, (2, 3)).requires_grad_()
        scores = self.resolved(self.model(x))
        goals = _penalised(scores, x, self.l2, self.tv)
        up = gradients(goals, x, "the image").roll((-shift[0], -shift[1]), (2, 3))
        length = up.float().square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
        return _Place(
            pictures, scores.detach(), goals.detach(), (up / length.clamp(min=1e-12)).to(pictures)
        )


def _check(
    steps: int, lr: float, l2: float, tv: float, blur: float, jitter: int, octaves: int
) -> None:
    for name, count in (("steps", steps), ("octaves", octaves)):
        if count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")
    for name, amount in (("l2", l2), ("tv", tv), ("blur", blur), ("jitter", jitter)):
        if not amount >= 0:  # nor NaN
            raise ValueError(f"{name} must be 0 or more, got {amount}")
    if not lr > 0:
        raise ValueError(f"lr must be above 0, got {lr}")


def _begin(
    model: nn.Module,
    starts: Sequence[Start],
    size: int | tuple[int, int] | None,
    random: torch.Generator,
) -> Tensor:
    """The starts, ``[S, C, H, W]``."""
    if not starts:
        raise ValueError("start must be at least one, got none")
    like = next(model.parameters(), torch.empty(0))
    given = [one for one in starts if isinstance(one, Tensor)]
    sizes = {tuple(one.shape[-2:]) for one in given}
    if size is not None:
        sizes.add((size, size) if isinstance(size, int) else tuple(size))
    if len(sizes) > 1 or any(one.ndim != 3 for one in given):
        raise ValueError(
            "start: pictures must be [C, H, W] and of one size, got "
            f"{' and '.join(str(list(one.shape)) for one in given)}, size={size}"
        )
    side = SIDE
    if isinstance(model, ImageModel):
        side = model.preprocessing.get("crop", SIDE)
    height, width = sizes.pop() if sizes else (side, side)
    if height < 1 or width < 1:
        raise ValueError(f"size must be at least 1 pixel, got {size}")
    # Of the first convolution.
    channels = next((p.shape[1] for p in model.parameters() if p.ndim == 4), 3)
    blank = torch.zeros(channels, height, width, dtype=like.dtype, device=like.device)
    found = []
    for one in starts:
        if isinstance(one, Tensor):
            found.append(one.detach().to(blank))
        elif one == "zero":
            found.append(blank)
        elif one in LEVELS:
            noise = torch.randn(blank.shape, generator=random).to(blank) if one == "noise" else 0.0
            found.append(_normalised(model, LEVELS[one] + NOISE * noise, blank))
        else:
            raise ValueError(
                f"start must be zero, {', '.join(LEVELS)} or a picture [C, H, W], got {one!r}"
            )
    return torch.stack(found)


def _says_how(model: nn.Module) -> bool:
    return isinstance(model, ImageModel) and {"mean", "std"} <= model.preprocessing.keys()


def _normalised(model: nn.Module, pixels: float | Tensor, like: Tensor) -> Tensor:
    """Pixels in [0, 1] as ``forward`` takes them, in the shape of ``like``."""
    pixels = torch.as_tensor(pixels).to(like).expand_as(like)
    if isinstance(model, ImageModel) and _says_how(model):
        mean, std = (
            like.new_tensor(model.preprocessing[k])[:, None, None] for k in ("mean", "std")
        )
        return (pixels - mean) / std
    return pixels


def _clipped(model: nn.Module, pictures: Tensor) -> Tensor:
    """To what normalised pictures can be, for a model that says how it normalises."""
    if not _says_how(model):
        return pictures
    lowest, highest = (_normalised(model, level, pictures[:, :, :1, :1]) for level in (0.0, 1.0))
    return torch.minimum(torch.maximum(pictures, lowest), highest)


def _shift(most: int, random: torch.Generator) -> tuple[int, int]:
    """Down and right."""
    down, right = torch.randint(-most, most + 1, (2,), generator=random).tolist()
    return down, right


def _penalised(scores: Tensor, x: Tensor, l2: float, tv: float) -> Tensor:
    x = x.float()
    if l2 > 0:
        scores = scores - l2 * x.square().sum(dim=(1, 2, 3))
    if tv > 0:
        across, down = x.diff(dim=3).abs(), x.diff(dim=2).abs()
        scores = scores - tv * (across.sum(dim=(1, 2, 3)) + down.sum(dim=(1, 2, 3)))
    return scores


def _resized(pictures: Tensor, size: tuple[int, int]) -> Tensor:
    if pictures.shape[2:] == size:
        return pictures
    # In 32 bits: the CPU has no smoothed resizing in 16.
    return F.interpolate(pictures.float(), size, mode="bilinear", antialias=True).to(pictures)


def _blurred(pictures: Tensor, sigma: float) -> Tensor:
    """Through a Gaussian, cut off at three standard deviations."""
    reach = min(math.ceil(3 * sigma), *(side - 1 for side in pictures.shape[2:]))
    if sigma < 0.1 or reach < 1:  # nothing that could be seen
        return pictures
    places = torch.arange(-reach, reach + 1, device=pictures.device)
    bell = (-0.5 * (places / sigma) ** 2).exp()
    bell = (bell / bell.sum()).to(pictures)
    channels = pictures.shape[1]
    padded = F.pad(pictures, [reach] * 4, mode="reflect")
    across, down = (
        bell.view(shape).expand(channels, -1, -1, -1) for shape in ((1, 1, 1, -1), (1, 1, -1, 1))
    )
    with torch.autocast(pictures.device.type, enabled=False):
        return F.conv2d(F.conv2d(padded, across, groups=channels), down, groups=channels)


def _picture(pixels: Tensor) -> Image.Image:
    return Image.fromarray((pixels * 255).round().byte().permute(1, 2, 0).cpu().numpy())
