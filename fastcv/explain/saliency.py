"""The gradient by the pixels: which of them a small change of would change the score most."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from fastcv.explain._gradients import pixel_gradients
from fastcv.explain._inputs import Images, Inputs, read_inputs
from fastcv.explain._relu import DECONVNET, GUIDED, Rule
from fastcv.explain.targets import Resolved, Targets
from fastcv.results import Attribution

Mode = Literal["abs", "square", "signed"]
Channels = Literal["max", "sum"]


def saliency(
    model: nn.Module,
    images: Images,
    target: Targets = None,
    *,
    mode: Mode = "abs",
    channels: Channels = "max",
    samples: int = 1,
    sigma: float = 0.15,
    seed: int = 0,
    layer: str | None = None,
) -> Attribution:
    """The gradient of the score by each pixel; of several noisy copies, their mean (SmoothGrad).

    Args:
        model: one of ours, or any module.
        images: what ``predict`` takes; or a floating-point batch ``[B, C, H, W]`` as ``forward``
            takes it, which any module does.
        target: a class's number or name, a function from the model's output to a score of each
            image, or a list of one for each image; None: what the model finds likeliest.
        mode: ``"abs"`` or ``"square"`` of the gradient, or ``"signed"``: as it is.
        channels: of the map: their ``"max"`` (of signed ones the largest by magnitude) or
            ``"sum"``.
        samples: noisy copies of each image; 1: the image itself, without noise.
        sigma: standard deviation of the noise, as a share of the image's range of values.
        seed: of the noise.
        layer: explain a channel of this layer, at its highest cell, in place of the output;
            ``target`` is its number.

    Returns:
        ``maps`` ``[B, H, W]``; ``values`` ``[B, C, H, W]``, before the channels were joined.

    Raises:
        ValueError: an option, a class or a layer that there is not.
        TypeError: a target of another kind.

    Source: Simonyan, Vedaldi, Zisserman, "Deep Inside Convolutional Networks" (2014), section 3;
        Smilkov et al., "SmoothGrad: removing noise by adding noise" (2017).

    Example:
        >>> import torch
        >>> from fastcv import explain
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 4 * 4, 5))
        >>> found = explain.saliency(model, torch.rand(2, 3, 4, 4), target=3)
        >>> found
        Attribution(saliency of class 3, class 3, 2 images, 4x4)
        >>> weights = model[1].weight[3].view(3, 4, 4)
        >>> torch.equal(found.maps[0], weights.detach().abs().amax(dim=0))
        True
    """
    if mode not in ("abs", "square", "signed"):
        raise ValueError(f"mode must be abs, square or signed, got {mode!r}")
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    if not sigma >= 0:  # nor NaN
        raise ValueError(f"sigma must be 0 or more, got {sigma}")
    inputs = read_inputs(model, images)
    if samples == 1:
        gradient, resolved, scores = pixel_gradients(model, inputs.batch, target, layer=layer)
        values = _of_mode(gradient, mode)
    else:
        batch = inputs.batch
        # What None means is settled by the image itself, and not by each noisy copy.
        _, resolved, scores = pixel_gradients(model, batch, target, layer=layer)
        noise = torch.Generator().manual_seed(seed)
        low, high = (f(batch, (1, 2, 3), keepdim=True) for f in (torch.amin, torch.amax))
        values = torch.zeros(batch.shape, device=batch.device)
        for _ in range(samples):
            normal = torch.randn(batch.shape, generator=noise).to(batch)
            noisy = batch + sigma * (high - low) * normal
            gradient, _, _ = pixel_gradients(model, noisy, resolved, layer=layer)
            values += _of_mode(gradient, mode)
        values /= samples
    maps = join_channels(values, channels, signed=mode == "signed")
    return _attribution(inputs, maps, values, "saliency", resolved, scores, layer)


def deconvnet(
    model: nn.Module,
    images: Images,
    target: Targets = None,
    *,
    layer: str | None = None,
    channels: Channels = "max",
    force: bool = False,
) -> Attribution:
    """What of the image the score is made of, by going backwards through a deconvnet.

    Backwards through a convolution goes its transpose, through a max pool its switches (where
    windows overlap and share a maximum, what comes back adds up there), and through a ReLU a ReLU:
    of what comes back only what is positive, whatever went forwards. A local response
    normalisation is skipped, as in the paper.

    Args:
        model, images, target, layer, channels: as for ``saliency``.
        force: go on where the model has activations that are no ReLU, with their derivative.

    Returns:
        ``values`` ``[B, C, H, W]``, for ``draw(how="pixels")``; ``maps``: their absolute values.

    Raises:
        ValueError: as ``saliency``; an activation that is no ReLU.

    Source: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (2014),
        section 2.1.

    Example:
        >>> import torch
        >>> from fastcv import explain
        >>> model = torch.nn.Sequential(torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(3, 1))
        >>> _ = model[2].weight.data.copy_(torch.tensor([[-1.0, 2.0, 3.0]]))
        >>> image = torch.tensor([1.0, -1.0, 1.0]).view(1, 3, 1, 1)
        >>> [f(model, image, 0).values.flatten().tolist() for f in (
        ...     explain.deconvnet, explain.guided_backprop)]
        [[0.0, 2.0, 3.0], [0.0, 0.0, 3.0]]
    """
    return _by_rule(model, images, target, "deconvnet", DECONVNET, layer, channels, force)


def guided_backprop(
    model: nn.Module,
    images: Images,
    target: Targets = None,
    *,
    layer: str | None = None,
    channels: Channels = "max",
    force: bool = False,
) -> Attribution:
    """The gradient by the pixels, if ReLUs let back only what is positive: parts that speak for
    the score, and none that speak against it.

    A ReLU multiplies by ``[h > 0]``, as in backpropagation, and by ``[g > 0]``, as in a deconvnet.

    Args:
        model, images, target, layer, channels, force: as for ``deconvnet``.

    Returns:
        As ``deconvnet``.

    Raises:
        ValueError: as ``deconvnet``.

    Source: Springenberg et al., "Striving for Simplicity: The All Convolutional Net" (2015),
        section 3.4.
    """
    return _by_rule(model, images, target, "guided_backprop", GUIDED, layer, channels, force)


def _by_rule(
    model: nn.Module,
    images: Images,
    target: Targets,
    method: str,
    rule: Rule,
    layer: str | None,
    channels: Channels,
    force: bool,
) -> Attribution:
    inputs = read_inputs(model, images)
    values, resolved, scores = pixel_gradients(
        model, inputs.batch, target, layer=layer, rule=rule, force=force
    )
    maps = join_channels(values, channels, signed=False)
    return _attribution(inputs, maps, values, method, resolved, scores, layer)


def _attribution(
    inputs: Inputs,
    maps: Tensor,
    values: Tensor,
    method: str,
    resolved: Resolved,
    scores: Tensor,
    layer: str | None,
) -> Attribution:
    return Attribution(
        maps,
        method,
        resolved.names,
        inputs.pictures,
        scores,
        layer,
        values=values,
        source=inputs.source,
    )


def _of_mode(gradient: Tensor, mode: Mode) -> Tensor:
    if mode == "abs":
        return gradient.abs()
    return gradient.square() if mode == "square" else gradient


def join_channels(values: Tensor, how: Channels, *, signed: bool) -> Tensor:
    """``[B, H, W]`` of ``[B, C, H, W]``."""
    if how not in ("max", "sum"):
        raise ValueError(f"channels must be max or sum, got {how!r}")
    if not signed:
        values = values.abs()
    if how == "sum":
        return values.sum(dim=1)
    strongest = values.abs().argmax(dim=1, keepdim=True)
    return values.gather(1, strongest)[:, 0]
