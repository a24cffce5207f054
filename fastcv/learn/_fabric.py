"""Where training runs: one process, or those that torchrun started."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from torch import nn

from fastcv._extras import need

if TYPE_CHECKING:
    from lightning.fabric import Fabric


def launch(devices: str, strategy: Any, precision: str) -> Fabric:
    """Fabric on this process, joined with the others under torchrun."""
    fabric_module = need("lightning.fabric", extra="train")
    processes = int(os.environ.get("WORLD_SIZE", 1))
    here = int(os.environ.get("LOCAL_WORLD_SIZE", 1))
    kind, _, number = devices.partition(":")  # "cuda:1" is that one alone
    fabric: Fabric = fabric_module.Fabric(
        accelerator=kind,
        devices=[int(number)] if number else here,
        num_nodes=processes // here,
        strategy=_fully_sharded(processes) if strategy == "fsdp" else strategy,
        precision=precision,
    )
    fabric.launch()
    return fabric


def _fully_sharded(processes: int) -> Any:
    """FSDP by torch's fully_shard, which works on GPUs and on CPUs.

    Fabric's own "fsdp" is the older wrapper, for GPUs only.
    """
    strategies = need("lightning.fabric.strategies", extra="train")
    return strategies.ModelParallelStrategy(
        _shard, data_parallel_size=processes, tensor_parallel_size=1
    )


def _shard(turn: nn.Module, mesh: Any) -> nn.Module:
    """Shard the model, block by block where blocks follow each other in a Sequential.

    Those are always called, so that their parameters are gathered in time; the rest is gathered
    with the model, and stays for ``loss``.
    """
    from torch.distributed.fsdp import FSDPModule, fully_shard

    model = turn.get_submodule("model")
    data = mesh["data_parallel"]
    for module in reversed(list(model.modules())):
        if isinstance(module, nn.Sequential):
            for block in module:
                if any(block.children()) and not isinstance(block, FSDPModule):
                    fully_shard(block, mesh=data)
    fully_shard(model, mesh=data)
    return turn
