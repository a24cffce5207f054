"""``fastcv.optimize``: the same model, faster, for inference only."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from fastcv.deploy._tracer import Tracer
from fastcv.deploy.fuse import fuse
from fastcv.deploy.fused_conv import is_hooked
from fastcv.deploy.instance_norm import InstanceNorm2d
from fastcv.models._mode import alone
from fastcv.nn.layers.deform_conv import DeformConv2d
from fastcv.nn.layers.frozen_batch_norm import FrozenBatchNorm2d

CONVOLUTIONS = (
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose2d,
    DeformConv2d,
    nn.Linear,
)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, FrozenBatchNorm2d)


def optimize(model: nn.Module) -> nn.Module:
    """A copy of a model for inference: norms folded, weights in channels_last, passes joined.

    A batch norm whose only input is one convolution (or linear layer) becomes part of its weights.
    Weights in channels_last make every convolution read and write the layout that oneDNN and cuDNN
    are fastest in, and an instance norm keeps to it. On the CPU in float32 a convolution then adds
    and activates what it makes in the same pass, and keeps a copy of its weights in the order that
    oneDNN likes best; a depthwise one with a large rate and the 1x1 one behind it become one call
    of :func:`fastcv.ops.atrous_separable_conv2d`. On other devices, in other dtypes and where a
    gradient is asked for, the copy does without. Outputs stay equal up to rounding, about 1e-6 of
    their largest value in float32.

    Args:
        model: any module; it is left as it is.

    Returns:
        The copy, in eval mode, without gradients: a model of the same class. It cannot be trained
        further, its state dict is no longer that of the architecture, and hooks that are put on its
        inner modules later may not be called: keep the original for that.

    Raises:
        TypeError: ``model`` is no module.

    Example:
        >>> import fastcv, torch
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).eval()
        >>> fast, x = fastcv.optimize(model), torch.rand(1, 3, 16, 16)
        >>> fast
        Sequential(
          (0): FusedConv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))
          (1): Identity()
          (2): ReLU()
        )
        >>> torch.allclose(fast(x), model(x), atol=1e-6)
        True
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    with alone(model):  # not amid a prediction of another thread, which may hook its modules
        model = copy.deepcopy(model)
    model.eval().requires_grad_(False)
    for convolution, norm in _pairs(model):
        _fold(convolution, norm)
        _replace(model, norm, nn.Identity())
    for norm in [m for m in model.modules() if type(m) is nn.BatchNorm2d]:
        if norm.running_mean is not None and not is_hooked(norm):
            _replace(model, norm, _Scaling2d(norm))
    for norm in [m for m in model.modules() if type(m) is nn.InstanceNorm2d]:
        if InstanceNorm2d.can_be(norm):
            _replace(model, norm, InstanceNorm2d(norm))
    model = model.to(memory_format=torch.channels_last)
    fuse(model)
    return model


class _Scaling2d(nn.BatchNorm2d):
    """A batch norm in eval mode that stays: one multiplication and addition, worked out before."""

    scale: Tensor
    shift: Tensor

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        assert norm.running_mean is not None
        super().__init__(
            norm.num_features,
            norm.eps,
            norm.momentum,
            norm.affine,
            device=norm.running_mean.device,
            dtype=norm.running_mean.dtype,
        )
        self.load_state_dict(norm.state_dict())
        scale, shift = _scale_and_shift(norm)
        for name, value in (("scale", scale), ("shift", shift)):
            value = value.to(norm.running_mean.dtype).view(1, -1, 1, 1)
            self.register_buffer(name, value, persistent=False)
        self.eval().requires_grad_(False)

    def forward(self, input: Tensor) -> Tensor:
        return torch.addcmul(self.shift, input, self.scale)


class _Tracer(Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (*CONVOLUTIONS, *NORMS)) or super().is_leaf_module(
            m, module_qualified_name
        )


def _graphs(module: nn.Module) -> Iterator[tuple[nn.Module, fx.Graph]]:
    """The largest parts of a module whose forward can be traced."""
    try:
        graph = _Tracer().trace(module)
    except Exception:  # whatever a forward does with a symbolic input: its parts are asked instead
        for child in module.children():
            yield from _graphs(child)
    else:
        yield module, graph


def _pairs(model: nn.Module) -> list[tuple[nn.Module, nn.Module]]:
    """Each convolution that only ever feeds one norm, which nothing else feeds."""
    reads: dict[nn.Module, set[Any]] = {}  # norm -> what it is called on
    feeds: dict[nn.Module, set[Any]] = {}  # convolution -> what its outputs go to
    for root, graph in _graphs(model):
        called = {
            node: root.get_submodule(str(node.target))
            for node in graph.nodes
            if node.op == "call_module"
        }
        for node, module in called.items():
            if isinstance(module, NORMS):
                reads.setdefault(module, set()).add(called.get(node.args[0]))
            elif isinstance(module, CONVOLUTIONS):
                feeds.setdefault(module, set()).update(called.get(user) for user in node.users)
    return [
        (convolution, norm)
        for norm, sources in reads.items()
        for convolution in sources
        if len(sources) == 1 and feeds.get(convolution) == {norm} and _can_fold(convolution, norm)
    ]


def _can_fold(convolution: nn.Module, norm: nn.Module) -> bool:
    hooked = is_hooked(convolution) or is_hooked(norm)
    has_statistics = norm.running_mean is not None
    return has_statistics and not hooked and not parametrize.is_parametrized(convolution)


def _scale_and_shift(norm: Any, bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """What the norm makes of x + bias is scale * x + shift; in float64."""
    mean = norm.running_mean.double()

    def double(t: Tensor | None, otherwise: float) -> Tensor:
        return torch.full_like(mean, otherwise) if t is None else t.double()

    scale = double(norm.weight, 1.0) * (norm.running_var.double() + norm.eps).rsqrt()
    return scale, (double(bias, 0.0) - mean) * scale + double(norm.bias, 0.0)


def _fold(convolution: Any, norm: Any) -> None:
    """scale * (w x + b) + shift, as one weight and one bias."""
    scale, bias = _scale_and_shift(norm, convolution.bias)
    weight = convolution.weight
    # A transposed convolution's weight is [in, out / groups, ...]: outputs of a group lie in dim 1.
    if isinstance(convolution, nn.ConvTranspose2d):
        groups = convolution.groups
        grouped = weight.double().unflatten(0, (groups, -1))
        scaled = (grouped * scale.view(groups, 1, -1, 1, 1)).flatten(0, 1)
    else:
        scaled = weight.double() * scale.view(-1, *[1] * (weight.dim() - 1))
    convolution.weight = nn.Parameter(scaled.to(weight.dtype), requires_grad=False)
    convolution.bias = nn.Parameter(bias.to(weight.dtype), requires_grad=False)


def _replace(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    for parent in model.modules():
        for name, child in parent.named_children():
            if child is old:
                setattr(parent, name, new)
