"""A model as it is in training, for predictions."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

Model = TypeVar("Model", bound=nn.Module)


def training_twin(model: Model) -> Model:
    """A copy in training mode, on the same tensors: batch statistics, and dropout.

    The model's own flags stay, for other threads may be at it. Running statistics are neither used
    nor changed.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from fastcv.models.generative._training_twin import training_twin
        >>> norm = nn.BatchNorm1d(2).eval()
        >>> training_twin(norm)(torch.tensor([[0.0, 8], [2, 9]])).detach().round()
        tensor([[-1., -1.],
                [ 1.,  1.]])
        >>> norm.training, norm.running_mean
        (False, tensor([0., 0.]))
    """
    tensors = (*model.parameters(), *model.buffers())
    twin = copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})
    for module in twin.modules():
        module.training = True
        if isinstance(module, _BatchNorm):
            module.track_running_stats = False
    return twin
