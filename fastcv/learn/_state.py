"""The state of models and optimisers, whole however they are sharded."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.fsdp import FSDPModule
from torch.optim import Optimizer

from fastcv._files import replacing
from fastcv.models._weights import metadata_of, own_key, unwrapped

if TYPE_CHECKING:
    from lightning.fabric import Fabric

WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True)


def is_sharded(model: nn.Module) -> bool:
    """Whether each process holds only a part of the parameters (FSDP)."""
    return any(isinstance(module, FSDPModule) for module in model.modules())


def model_state(model: nn.Module) -> dict[str, Tensor]:
    """A copy on the CPU. Of a sharded model all processes must ask, and rank 0 gets it."""
    state: dict[str, Any] = (
        get_model_state_dict(model, options=WHOLE) if is_sharded(model) else model.state_dict()
    )
    return {name: tensor.to("cpu", copy=True).contiguous() for name, tensor in state.items()}


def load_model_state(model: nn.Module, state: dict[str, Tensor]) -> None:
    """Put back what ``model_state`` gave."""
    if is_sharded(model):
        set_model_state_dict(model, dict(state), options=WHOLE)
    else:
        model.load_state_dict(state)


def not_finite(fabric: Fabric, model: nn.Module) -> list[str]:
    """The names of the parameters that are NaN or infinite somewhere, on any process."""
    names, parameters = zip(*model.named_parameters(), strict=True)
    shards = [p.to_local() if hasattr(p, "to_local") else p for p in parameters]
    broken: Any = fabric.all_reduce(
        torch.stack([~shard.isfinite().all() for shard in shards]).float(), reduce_op="sum"
    )
    return [name for name, count in zip(names, broken.tolist(), strict=True) if count]


def shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    """The size of each tensor that a checkpoint holds."""
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def write_weights(path: Path, state: dict[str, Tensor], of: nn.Module | None = None) -> None:
    """Write a state dict as safetensors.

    Of a model that ``create_model`` made it notes what ``load_model`` needs.
    """
    model, noted = unwrapped(of), None
    if getattr(model, "model_name", ""):
        # A config that JSON does not hold must not end a run: its weights load with the name given.
        with suppress(ValueError):
            noted = metadata_of(model)
    state = {own_key(key): value for key, value in state.items()}
    with replacing(path) as temporary:
        # Not save_file: no one else could read what it makes.
        temporary.write_bytes(save(state, noted))


def optimizer_state(model: nn.Module, optimizer: Optimizer) -> dict[str, Any]:
    """The state of an optimiser; of a sharded model by parameter names, on rank 0."""
    if is_sharded(model):
        return dict(get_optimizer_state_dict(model, optimizer, options=WHOLE))
    return optimizer.state_dict()


def load_optimizer_state(model: nn.Module, optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Put back what ``optimizer_state`` gave."""
    if is_sharded(model):
        set_optimizer_state_dict(model, optimizer, state, options=WHOLE)
    else:
        optimizer.load_state_dict(state)
