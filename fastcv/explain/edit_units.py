"""A layer's units set to 0, or to a high value where somebody points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.explain._checks import check_tensor
from fastcv.explain._layers import find_layer
from fastcv.nn._hooks import OwnHooks


@contextmanager
def edit_units(
    model: nn.Module,
    layer: str,
    units: Sequence[int],
    mode: Literal["ablate", "insert"] = "ablate",
    *,
    mask: Tensor | None = None,
    level: float | Tensor | None = None,
) -> Iterator[None]:
    """Inside, a layer returns other values for some of its units (its channels).

    A cell of the layer is set where the mask has a pixel in it; the rest of the map is as it was.
    So the output changes no farther from the mask than the layers behind reach. Only calls by this
    thread are edited. The model's own state is not touched, and the hook is gone after the block,
    however it ends.

    Args:
        model: any module, such as a generator or a classifier.
        layer: its name, as ``model.named_modules()`` has it; it must return ``[B, C, H, W]``.
        units: the channels that are set.
        mode: ``"ablate"``: to 0; ``"insert"``: to ``level``.
        mask: where, bool ``[H, W]`` or ``[B, H, W]`` in pixels of any size, such as the picture's;
            None: everywhere.
        level: of ``"insert"``: one number, or one for each unit, such as those of
            ``unit_quantiles``.

    Raises:
        ValueError: no such layer or mode, a unit that the layer has not, a mask or a level of
            another shape, or a layer that returns no maps.
        TypeError: a mask that is not bool.

    Source: Bau et al., "GAN Dissection: Visualizing and Understanding Generative Adversarial
        Networks" (2019), section 3.2.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from fastcv.explain import edit_units
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 1, 1))
        >>> image, mask = torch.rand(1, 3, 4, 4), torch.zeros(4, 4, dtype=torch.bool)
        >>> mask[1, 2] = True
        >>> before = model(image)
        >>> with edit_units(model, "0", [1, 3], "insert", mask=mask, level=9.0):
        ...     after = model(image)
        >>> (after != before).nonzero().tolist()
        [[0, 0, 1, 2]]
    """
    if mode not in ("ablate", "insert"):
        raise ValueError(f"mode must be 'ablate' or 'insert', got {mode!r}")
    if (level is None) == (mode == "insert"):
        needs = "is needed to insert" if level is None else "must be None to ablate: it sets 0"
        raise ValueError(f"level {needs}")
    chosen = list(units)
    values = torch.as_tensor(0.0 if level is None else level, dtype=torch.float32)
    if values.ndim > 1 or (values.ndim == 1 and len(values) != len(chosen)):
        raise ValueError(
            f"level must be one number or [{len(chosen)}], one for each unit, got "
            f"{list(values.shape)}"
        )
    if mask is not None:
        _check_mask(mask)

    def edit(_: Any, output: Any) -> Tensor:
        _check_maps(layer, output, chosen)
        cells = None if mask is None else _cells(mask.to(output.device), output)
        edited = output.clone()
        new = values.to(output).view(-1, 1, 1).expand(len(chosen), 1, 1)
        old = edited[:, chosen]
        edited[:, chosen] = new.expand_as(old) if cells is None else torch.where(cells, new, old)
        return edited

    with OwnHooks() as hooks:
        hooks.after(find_layer(model, layer), edit)
        yield


def _cells(mask: Tensor, maps: Tensor) -> Tensor:
    """Bool ``[1 or B, 1, h, w]``: the cells with a pixel of the mask in them."""
    batch = mask.float()[None, None] if mask.ndim == 2 else mask.float()[:, None]
    if len(batch) not in (1, len(maps)):
        raise ValueError(f"mask must be [H, W] or [{len(maps)}, H, W], got {list(mask.shape)}")
    return F.adaptive_max_pool2d(batch, maps.shape[2:]) > 0


def _check_mask(mask: Tensor) -> None:
    check_tensor("mask", mask)
    if mask.dtype != torch.bool:
        raise TypeError(f"mask must be bool, got {mask.dtype}")
    if mask.ndim not in (2, 3) or 0 in mask.shape:
        raise ValueError(f"mask must be [H, W] or [B, H, W], got {list(mask.shape)}")


def _check_maps(layer: str, output: Any, units: list[int]) -> None:
    if not isinstance(output, Tensor) or output.ndim != 4:
        got = list(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ValueError(f"layer {layer!r} must give maps [B, C, H, W], got {got}")
    channels = output.shape[1]
    if wrong := [unit for unit in units if not 0 <= unit < channels]:
        raise ValueError(f"units must be 0 to {channels - 1}, of layer {layer!r}, got {wrong[0]}")
