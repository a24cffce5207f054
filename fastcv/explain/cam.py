"""Class activation maps: what each cell of the last maps adds to a class's score."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fastcv.explain._gradients import spread
from fastcv.explain._inputs import Images, read_inputs
from fastcv.explain._layers import AUTO, explaining, logits_of, recording, the_map
from fastcv.explain.targets import ClassScore, Targets, resolve
from fastcv.nn._hooks import OwnHooks
from fastcv.results import Attribution


def cam(model: nn.Module, images: Images, target: Targets = None) -> Attribution:
    """The last maps, weighted as the linear layer behind their mean weights them for a class.

    For networks that end in the mean over each map and one linear layer: ResNet, GoogLeNet,
    DenseNet, SE-Net, EfficientNet, MobileNet and their like need no training for it. Others have
    ``grad_cam``, or take such a form by ``to_cam`` and are trained on.

    Args:
        model, images: as for ``grad_cam``.
        target: a class's number or name, or a list of one for each image; None: the likeliest.

    Returns:
        ``cells`` ``[B, h, w]``: their mean plus the class's bias is its score before the softmax.
        ``maps`` ``[B, H, W]``: the same enlarged. Cells below 0 speak against the class.

    Raises:
        ValueError: the model does not end so, or a class that it does not have.
        TypeError: a target that is no class.

    Source: Zhou et al., "Learning Deep Features for Discriminative Localization" (2016), equation
        2. There the sum over positions stands for the mean, and the bias is left out.

    Example:
        >>> import torch
        >>> from fastcv import create_model, explain
        >>> model = create_model("resnet18", num_classes=3, width=8)
        >>> found = explain.cam(model, torch.rand(1, 3, 64, 64), target=2)
        >>> score = found.cells.mean() + model.fc.bias[2]
        >>> torch.testing.assert_close(score.detach(), found.scores[0])
    """
    inputs = read_inputs(model, images)
    with (
        explaining(model),
        torch.no_grad(),
        _last_linear(model) as last,
        recording(model) as records,
    ):
        output = model(inputs.batch)
    name, maps = the_map(records, AUTO, len(inputs))
    logits = logits_of(output)
    if not last or logits is None or not _is_mean_and_linear(maps, *last[0], logits):
        raise ValueError(
            "the model must end in the mean over its last maps and one linear layer, and "
            f"{type(model).__name__} does not: grad_cam takes any, to_cam makes such a form of some"
        )
    resolved = resolve(model, output, target, len(inputs))
    labels = []
    for one in resolved.targets:
        if not isinstance(one, ClassScore):
            raise TypeError("target must be a class's number or name, or None: CAM has no other")
        labels.append(one.label)
    weights = last[0][0].weight.detach().float()[labels]
    with torch.inference_mode(False):
        # Not a product of matrices, which autocast would compute in 16 bits.
        cells = (maps.detach().float() * weights[:, :, None, None]).sum(dim=1)
        enlarged = spread(cells, inputs.size, output)
    return Attribution(
        enlarged,
        "cam",
        resolved.names,
        inputs.pictures,
        resolved(output).detach(),
        name,
        cells,
        source=inputs.source,
    )


@contextmanager
def _last_linear(model: nn.Module) -> Iterator[list[tuple[nn.Linear, Tensor, Tensor]]]:
    """The linear layer that this thread called last, its input and its output."""
    last: list[tuple[nn.Linear, Tensor, Tensor]] = []

    def note(module: nn.Linear, args: Any, output: Tensor) -> None:
        last[:] = [(module, args[0], output)]

    with OwnHooks() as hooks:
        for module in model.modules():
            if isinstance(module, nn.Linear):
                hooks.after(module, partial(note, module))
        yield last


def _is_mean_and_linear(
    maps: Tensor, linear: nn.Linear, vectors: Tensor, output: Tensor, logits: Tensor
) -> bool:
    means = maps.detach().float().mean(dim=(2, 3))
    if vectors.shape != means.shape or output.shape != logits.shape:
        return False
    tolerance = 1e-4 if vectors.dtype == torch.float32 else 3e-2
    scale = float(means.abs().max()) + 1e-12
    is_mean = float((vectors.float() - means).abs().max()) <= tolerance * scale
    # NaN is told later, as what it is.
    return is_mean and torch.allclose(
        output.float(), logits.float(), rtol=0, atol=0, equal_nan=True
    )
