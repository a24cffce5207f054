"""What the networks of pix2pix and CycleGAN share: norms, first weights, and old files."""

from __future__ import annotations

from typing import Any, Literal

from torch import nn

Norm = Literal["batch", "instance", "batch_statistics"]

DEVIATION = 0.02  # of first weights: Isola et al. (2017), section 6.2
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def norm_layer(kind: str, channels: int) -> nn.Module:
    """Batch norm; or instance norm, which has no parameters.

    ``"batch_statistics"`` is batch norm without running statistics: in use too it takes the
    batch's own.

    Raises:
        ValueError: another kind.
    """
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "batch_statistics":
        return nn.BatchNorm2d(channels, track_running_stats=False)
    if kind == "instance":
        return nn.InstanceNorm2d(channels)
    raise ValueError(f"norm must be 'batch' or 'instance', got {kind!r}")


def draw_weights(network: nn.Module) -> None:
    """First weights: kernels from N(0, 0.02), norms' from N(1, 0.02), biases of zero."""
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(module.weight, 0.0, DEVIATION)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, DEVIATION)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def take_old_files(network: nn.Module, norm: Norm) -> None:
    """Files from before torch 0.4 hold statistics of instance norms, which have none: left out."""
    if norm == "instance":
        network.register_load_state_dict_pre_hook(_drop_statistics)  # type: ignore[no-untyped-call]  # torch's is


def _drop_statistics(network: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for key in list(state):
        if key.startswith(prefix) and key.rpartition(".")[2] in STATISTICS:
            del state[key]
