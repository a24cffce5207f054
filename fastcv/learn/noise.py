"""Noise in a student's layers: dropout before its head, and residual blocks left out."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.nn.backbones.resnet import ResidualBlock
from fastcv.nn.layers.stochastic_depth import stochastic_depth as leave_out


def add_noise(model: nn.Module, *, dropout: float = 0.5, stochastic_depth: float = 0.2) -> None:
    """Give a classifier the model noise of Noisy Student; it acts in training mode only.

    By hooks, so that the keys of its state dict stay those of checkpoints.

    Args:
        model: a classifier whose last ``nn.Linear`` is its head.
        dropout: of the features that go into the head.
        stochastic_depth: the probability that the last residual block of a ResNet is left out;
            for the blocks before it less, in proportion to their place.

    Raises:
        ValueError: a probability is not in [0, 1), or the model has no linear layer.

    Source: Xie et al., "Self-training with Noisy Student improves ImageNet classification" (2020),
        section 3.1 (dropout 0.5; the last block left out with 0.2).
    """
    for name, p in (("dropout", dropout), ("stochastic_depth", stochastic_depth)):
        if not 0 <= p < 1:
            raise ValueError(f"{name} must be in [0, 1), got {p}")
    heads = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not heads:
        raise ValueError(f"{type(model).__name__} has no linear layer to put dropout before")
    heads[-1].register_forward_pre_hook(partial(_drop_features, dropout))
    blocks = [module for module in model.modules() if isinstance(module, ResidualBlock)]
    for place, block in enumerate(blocks, start=1):
        hook = partial(_drop_block, stochastic_depth * place / len(blocks))
        block.last_norm.register_forward_hook(hook)


def _drop_features(p: float, module: nn.Module, inputs: tuple[Any, ...]) -> Any:
    return F.dropout(inputs[0], p, training=module.training)


def _drop_block(p: float, module: nn.Module, inputs: Any, residual: Tensor) -> Tensor:
    return leave_out(residual, p, "row", module.training)
