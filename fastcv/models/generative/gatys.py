"""Gatys's way to a style: no network learns, the picture itself is changed until it fits."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from fastcv._device import find_device
from fastcv._interrupt import NotedInterrupt
from fastcv.images import ImageInput, read_image
from fastcv.models.generative._loss_network import loss_network
from fastcv.nn.backbones.loss_network import LossNetwork
from fastcv.nn.losses.perceptual import PerceptualLoss
from fastcv.results import Generated

Start = Literal["content", "noise"]

CONTENT_LAYERS = ("relu4_2",)
STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
STYLE_WEIGHT = 20.0  # of relative terms, over that of the content
NOISE = 0.1  # standard deviation about grey, in [0, 1]
HISTORY = 20  # pairs of pictures and gradients that L-BFGS remembers


@dataclass(repr=False, eq=False)
class Stylized(Generated):
    """What ``stylize`` returns: one picture.

    Args:
        losses: ``[N]`` float32, the sum of the terms each time that the network was asked.
        was_stopped: Ctrl-C came before the last step.

    Others as of ``Generated``.
    """

    losses: Tensor = field(default_factory=lambda: torch.empty(0))
    was_stopped: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As of ``Generated``, and ``losses``."""
        return {**super().to_dict(), "losses": self.losses.tolist()}


def stylize(
    content: ImageInput | None,
    style: ImageInput | None,
    *,
    loss_weights: str | os.PathLike[str] | LossNetwork | None = None,
    content_layers: Iterable[str] = CONTENT_LAYERS,
    style_layers: Iterable[str] = STYLE_LAYERS,
    style_weight: float = STYLE_WEIGHT,
    tv_weight: float = 0.0,
    start: Start = "content",
    size: int | None = None,
    steps: int = 300,
    seed: int = 0,
    device: str = "auto",
    progress: bool = False,
) -> Stylized:
    """Changes a picture until a frozen network sees one picture's content and another's style.

    L-BFGS goes down the gradient of the loss by the pixels. Each layer's term is divided by the
    mean square of what it should be, so a weight means the same for every layer and network.

    With ``style=None`` the content alone is reconstructed, with ``content=None`` the style alone,
    both from noise: what a layer keeps of a picture.

    The first Ctrl-C ends it after the step at hand, and the picture so far is returned; a second
    one strikes at once.

    Args:
        content: the picture whose content stays.
        style: the picture whose style it gets. It is made smaller where its shorter side is
            longer than the content's.
        loss_weights: a file of VGG-16's weights, or a ``LossNetwork``; None: VGG-16 with random
            weights, which sees textures and colours, and no objects.
        content_layers: whose feature maps are compared.
        style_layers: whose Gram matrices are compared.
        style_weight: of the mean of the style's layers; that of the content's is 1.
        tv_weight: of the total variation.
        start: ``"content"``, or ``"noise"`` about grey.
        size: the most pixels of the longer side: larger pictures are made smaller.
        steps: how many times the network is asked for a gradient.
        seed: of noise.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        progress: show a bar.

    Returns:
        The picture of the least loss, in [0, 1], and the losses.

    Raises:
        ValueError: neither picture, an option out of its range, a layer that there is not, a
            picture that is too small for the layers, or a file that is not VGG-16's.
        FileNotFoundError: no such file.

    Source: Gatys, Ecker, Bethge, "Image Style Transfer Using Convolutional Neural Networks" (2016),
        section 2. There the network's filters are scaled to a mean activation of one; here the
        terms are relative, to the same end.

    Example:
        >>> import torch, fastcv
        >>> photo, pattern = torch.rand(3, 20, 32), torch.rand(3, 32, 32)
        >>> made = fastcv.stylize(photo, pattern, style_layers=["relu1_1"], steps=4)
        >>> made, len(made.losses), bool(made.losses[-1] < made.losses[0])
        (Generated(1 picture of 20x32), 4, True)
    """
    _check(content, style, style_weight, tv_weight, start, size, steps)
    on = find_device(device)
    network = loss_weights if isinstance(loss_weights, LossNetwork) else loss_network(loss_weights)
    pictures = {
        name: _floats(read_image(image)).to(on)
        for name, image in (("content", content), ("style", style))
        if image is not None
    }
    first_name = next(iter(pictures))
    pictures[first_name] = _smaller(pictures[first_name], size, max)
    if content is not None and style is not None:
        pictures["style"] = _smaller(pictures["style"], min(pictures["content"].shape[1:]), min)
    content_pixels = pictures.get("content")
    of_content, layers = list(content_layers), list(style_layers)
    for name, asked in (("content", of_content + layers), ("style", layers)):
        _check_picture(name, pictures.get(name), network.smallest(asked))
    loss = PerceptualLoss(
        network.to(on),
        content=None if content_pixels is None else dict.fromkeys(of_content, 1.0),
        style=None if style is None else dict.fromkeys(layers, style_weight / max(len(layers), 1)),
        style_picture=pictures.get("style"),
        tv=tv_weight,
        relative=True,
    ).to(on)
    like = pictures["style"] if content_pixels is None else content_pixels
    if start == "noise" or content_pixels is None or style is None:
        noise = torch.randn(like.shape, generator=torch.Generator().manual_seed(seed))
        first = (0.5 + NOISE * noise).to(like)
    else:
        first = like
    best, losses, was_stopped = _descend(loss, first[None], content_pixels, steps, progress)
    return Stylized(best.clamp(0, 1), losses=torch.tensor(losses), was_stopped=was_stopped)


class _Enough(Exception):
    """L-BFGS asks many times in a step: this ends it in between."""


def _descend(
    loss: PerceptualLoss, first: Tensor, content_pixels: Tensor | None, steps: int, progress: bool
) -> tuple[Tensor, list[float], bool]:
    """The picture of the least loss, all losses, and whether someone stopped it."""
    pixels = first.clone().requires_grad_()
    targets = None if content_pixels is None else content_pixels[None]
    best = first
    losses: list[float] = []
    optimizer = torch.optim.LBFGS(
        [pixels],
        max_iter=steps,
        max_eval=2 * steps,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        history_size=HISTORY,
        line_search_fn="strong_wolfe",
    )
    with NotedInterrupt() as interrupt, tqdm(total=steps, disable=not progress) as bar:

        def closure() -> Tensor:
            nonlocal best
            if len(losses) == steps or interrupt.noted:
                raise _Enough
            total = torch.stack(list(loss(pixels, targets).values())).sum()
            # By the number of pixels, so that the first step is one that can be seen.
            scaled = total * pixels.numel()
            (gradient,) = torch.autograd.grad(scaled, pixels)
            pixels.grad = gradient.contiguous()  # of a channels_last network it is not; L-BFGS asks
            losses.append(total.item())
            if losses[-1] <= min(losses):
                best = pixels.detach().clone()
            bar.update()
            bar.set_postfix(loss=losses[-1], refresh=False)
            return scaled.detach()

        try:
            while True:  # where a search ends for want of progress, a new one begins
                optimizer.step(closure)  # type: ignore[no-untyped-call]  # torch's is
        except _Enough:
            pass
        return best, losses, interrupt.noted and len(losses) < steps


def _floats(pixels: Tensor) -> Tensor:
    return pixels.float() / (255 if pixels.dtype == torch.uint8 else 1)


def _smaller(pixels: Tensor, most: int | None, side: Callable[[Sequence[int]], int]) -> Tensor:
    """``[3, H, W]`` whose longer (``max``) or shorter (``min``) side has no more pixels."""
    share = 1.0 if most is None else most / side(pixels.shape[1:])
    if share >= 1:
        return pixels
    size = [max(1, round(share * n)) for n in pixels.shape[1:]]
    return F.interpolate(pixels[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)


def _check_picture(name: str, pixels: Tensor | None, smallest: int) -> None:
    if pixels is None:
        return
    height, width = pixels.shape[1:]
    if min(height, width) < smallest:
        raise ValueError(
            f"{name} must have at least {smallest} x {smallest} pixels for its layers, got "
            f"{height} x {width}"
        )
    if not pixels.isfinite().all():
        raise ValueError(f"{name} must be finite numbers, got NaN or infinity")


def _check(
    content: object,
    style: object,
    style_weight: float,
    tv_weight: float,
    start: str,
    size: int | None,
    steps: int,
) -> None:
    if content is None and style is None:
        raise ValueError("content or style must be a picture, got None for both")
    for name, weight in (("style_weight", style_weight), ("tv_weight", tv_weight)):
        if not weight >= 0:  # nor NaN
            raise ValueError(f"{name} must be 0 or more, got {weight}")
    if start not in ("content", "noise"):
        raise ValueError(f"start must be 'content' or 'noise', got {start!r}")
    for name, count in (("size", size), ("steps", steps)):
        if count is not None and count < 1:
            raise ValueError(f"{name} must be at least 1, got {count}")
