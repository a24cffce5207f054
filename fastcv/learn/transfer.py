"""Transfer learning: a trained body, a new head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import nn
from torch.optim import Optimizer

from fastcv.models import ImageModel


def new_head(model: ImageModel, classes: Sequence[str], *, head: str | None = None) -> nn.Linear:
    """Replace a classifier's last linear layer by a new one, for other classes.

    Args:
        model: a trained classifier; it is changed in place, its ``classes`` too.
        classes: the new names by label.
        head: the layer's name in the model; None: the last ``nn.Linear``, which must have one
            output for each class so far.

    Returns:
        The new layer, with random weights.

    Raises:
        ValueError: there is no such layer.

    Source: Yosinski et al., "How transferable are features in deep neural networks?" (2014).

    Example:
        >>> from fastcv.learn import freeze, new_head
        >>> from fastcv.models import create_model
        >>> model = create_model("resnet18", width=8)
        >>> freeze(model)
        >>> new_head(model, ("cat", "dog"))
        Linear(in_features=64, out_features=2, bias=True)
        >>> [name for name, p in model.named_parameters() if p.requires_grad], model.classes
        (['fc.weight', 'fc.bias'], ('cat', 'dog'))
    """
    layers = {name: m for name, m in model.named_modules() if isinstance(m, nn.Linear)}
    if head is None:
        head = next(reversed(layers), "")
        if head not in layers or layers[head].out_features != len(model.classes):
            raise ValueError(
                f"which layer of {type(model).__name__} is the head? Its last linear layer does "
                f"not have {len(model.classes)} outputs, one for each class: pass head, one of "
                f"{', '.join(layers) or 'none'}"
            )
    if head not in layers:
        raise ValueError(f"head must be one of {', '.join(layers) or 'none'}, got {head!r}")
    old = layers[head]
    new = nn.Linear(old.in_features, len(classes), old.bias is not None).to(old.weight)
    model.set_submodule(head, new)
    model.classes = tuple(classes)
    if model.model_name:  # so that save_model notes a model that this head fits
        model.model_config = {**model.model_config, "num_classes": len(classes)}
    return new


def freeze(module: nn.Module) -> None:
    """Keep a module as it is through training: its parameters and its norms' statistics.

    It requires no gradients, and its forward runs in eval mode whatever ``model.train()`` says:
    dropout is off and batch norms neither use nor update statistics of the batch.

    Example:
        >>> import torch
        >>> from fastcv.learn import freeze
        >>> norm = torch.nn.BatchNorm1d(2)
        >>> freeze(norm)
        >>> _ = norm.train()(torch.rand(8, 2))
        >>> norm.running_mean, norm.weight.requires_grad
        (tensor([0., 0.]), False)
    """
    unfreeze(module)  # a module frozen twice has its hooks once
    module.requires_grad_(False)
    for part in module.modules():
        part.register_forward_pre_hook(_to_eval)


def unfreeze(module: nn.Module) -> None:
    """Undo ``freeze``."""
    module.requires_grad_(True)
    for part in module.modules():
        hooks = part._forward_pre_hooks
        for key in [key for key, hook in hooks.items() if hook is _to_eval]:
            del hooks[key]


def _to_eval(module: nn.Module, inputs: Any) -> None:
    module.training = False


def two_rates(
    head: nn.Module,
    make: Callable[[list[dict[str, Any]]], Optimizer],
    *,
    head_lr: float,
    body_lr: float,
) -> Callable[[list[nn.Parameter]], Optimizer]:
    """An ``optimizer`` for ``fit``: a high learning rate for the new head, a low one for the rest.

    Args:
        head: the module with the high rate.
        make: makes the optimiser from groups of parameters, such as ``torch.optim.AdamW``.
        head_lr: the head's learning rate.
        body_lr: that of all else.

    Example:
        >>> import torch
        >>> from fastcv.learn import two_rates
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))
        >>> optimizer = two_rates(model[1], torch.optim.SGD, head_lr=0.1, body_lr=0.001)
        >>> groups = optimizer(list(model.parameters())).param_groups
        >>> [(group["lr"], sum(p.numel() for p in group["params"])) for group in groups]
        [(0.001, 15), (0.1, 8)]
    """

    def optimizer(parameters: list[nn.Parameter]) -> Optimizer:
        # Asked for here, not above: a sharded model has other parameters by now.
        in_head = set(head.parameters())
        of_body = [p for p in parameters if p not in in_head]
        of_head = [p for p in parameters if p in in_head]
        groups = [{"params": of_body, "lr": body_lr}, {"params": of_head, "lr": head_lr}]
        return make([group for group in groups if group["params"]])

    return optimizer
