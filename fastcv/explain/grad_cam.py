"""Grad-CAM: where in the last maps the score comes from, of any network and any task."""

from __future__ import annotations

from torch import nn

from fastcv.explain._gradients import gradients, spread
from fastcv.explain._inputs import Images, read_inputs
from fastcv.explain._layers import AUTO, explaining, recording, the_map
from fastcv.explain.saliency import Channels, guided_backprop, join_channels
from fastcv.explain.targets import Targets, resolve
from fastcv.results import Attribution


def grad_cam(
    model: nn.Module, images: Images, target: Targets = None, *, layer: str = AUTO
) -> Attribution:
    """A layer's maps, each weighted by the mean of the score's gradient by it, summed, rectified.

    Args:
        model: a classifier, detector or segmenter of ours, or any module with convolutions.
        images: what ``predict`` takes; or a floating-point batch ``[B, C, H, W]`` as ``forward``
            takes it, which any module does.
        target: a class's number or name, a function from the model's output to a score of each
            image, or a list of one for each image; None: what the model finds likeliest. Of a
            detector a class is its surest box, and other boxes are
            ``fastcv.explain.targets.BoxScore``; of a segmenter a class is the pixels that are
            labelled so, and others are ``PixelScore``.
        layer: its name. ``"auto"``: of a classifier the last map before pooling, of others the last
            of the maps with the most channels; the result says which.

    Returns:
        ``maps`` ``[B, H, W]``, 0 and above; ``cells`` ``[B, h, w]``, before they were enlarged.

    Raises:
        ValueError: a layer or a class that there is not, a layer without maps, or one that the
            score does not depend on.
        TypeError: a target of another kind.

    Source: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
        Localization" (2017), equations 1 and 2; of a class before the softmax, as there.

    Example:
        >>> import torch
        >>> from fastcv import create_model, explain
        >>> model = create_model("resnet18", num_classes=3, width=8)
        >>> explain.grad_cam(model, torch.rand(2, 3, 64, 64), target=[0, 2])
        Attribution(grad_cam of class 0, class 2 at layer4, 2 images, 64x64)
    """
    inputs = read_inputs(model, images)
    with explaining(model):
        batch = inputs.batch.clone().requires_grad_(layer == AUTO)
        for from_start in (True,) if layer == AUTO else (False, True):
            with recording(model, [layer], gradients=True, from_start=from_start) as records:
                output = model(batch)
                name, maps = the_map(records, layer, len(inputs))
                resolved = resolve(model, output, target, len(inputs))
                scores = resolved(output)
            if scores.requires_grad:
                break
        gradient = gradients(scores, maps, f"layer {name!r}")
        weights = gradient.float().mean(dim=(2, 3), keepdim=True)
        cells = (weights * maps.detach().float()).sum(dim=1).relu()
        enlarged = spread(cells, inputs.size, output)
    return Attribution(
        enlarged,
        "grad_cam",
        resolved.names,
        inputs.pictures,
        scores.detach(),
        name,
        cells,
        source=inputs.source,
    )


def guided_grad_cam(
    model: nn.Module,
    images: Images,
    target: Targets = None,
    *,
    layer: str = AUTO,
    channels: Channels = "max",
    force: bool = False,
) -> Attribution:
    """Guided backpropagation times Grad-CAM, element by element: fine, and of one class.

    Args:
        model, images, target, layer: as for ``grad_cam``.
        channels, force: as for ``guided_backprop``.

    Returns:
        ``values`` ``[B, C, H, W]``, the products; ``maps``: their absolute values; ``cells`` those
        of ``grad_cam``.

    Raises:
        ValueError, TypeError: as both.

    Source: Selvaraju et al. (2017), section 3.2.

    Example:
        >>> import torch
        >>> from fastcv import create_model, explain
        >>> model = create_model("resnet18", num_classes=3, width=8)
        >>> explain.guided_grad_cam(model, torch.rand(1, 3, 64, 64), 2).values.shape
        torch.Size([1, 3, 64, 64])
    """
    inputs = read_inputs(model, images)
    coarse = grad_cam(model, inputs.batch, target, layer=layer)
    fine = guided_backprop(model, inputs.batch, target, force=force)
    assert fine.values is not None
    values = fine.values * coarse.maps[:, None]
    maps = join_channels(values, channels, signed=False)
    return Attribution(
        maps,
        "guided_grad_cam",
        coarse.targets,
        inputs.pictures,
        coarse.scores,
        coarse.layer,
        coarse.cells,
        values,
        source=inputs.source,
    )
