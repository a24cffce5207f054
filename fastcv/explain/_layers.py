"""What a model's layers make of its input: recorded in one forward, the model left as it was."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map

from fastcv.explain._checks import check_is_python, check_layer_name, check_model
from fastcv.models._mode import evaluating
from fastcv.nn._hooks import OwnHooks

AUTO = "auto"


@contextmanager
def explaining(model: nn.Module) -> Iterator[None]:
    """Eval mode with gradients; flags and torch's random numbers are put back, come what may.

    Several threads may explain one model. Weights that were made in inference mode are cloned where
    they are used, for no gradient could pass them.
    """
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(
            torch.random.fork_rng(devices=[device] if device.type == "cuda" else [])
        )
        if any(t.is_inference() for t in [*model.parameters(), *model.buffers()]):
            stack.enter_context(_ClonedInferenceTensors())
        stack.enter_context(evaluating(model))
        yield


class _ClonedInferenceTensors(TorchFunctionMode):
    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        args, kwargs = tree_map(_normal, (args, kwargs or {}))
        return function(*args, **kwargs)


def _normal(value: Any) -> Any:
    # A result under this mode is never an inference tensor: only weights and buffers are.
    is_inference = isinstance(value, Tensor) and Tensor.is_inference(value)
    return value.clone() if is_inference else value


def find_layer(model: nn.Module, layer: str) -> nn.Module:
    """The layer of that name.

    Raises:
        TypeError: it is no name, or the model no module.
        ValueError: the model has none; the nearest names are listed. Or torch.jit made the model.
    """
    check_model(model)
    check_layer_name(layer)
    check_is_python(model)
    modules = dict(model.named_modules(remove_duplicate=False))
    names = [name for name in modules if name]
    if layer not in names:
        near = difflib.get_close_matches(layer, names, n=3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else _some(names)
        raise ValueError(f"layer: the model has no {layer!r}: {hint}")
    return modules[layer]


def _some(names: list[str]) -> str:
    return f"it has {', '.join(names[:5])} ..." if names else "it has no layers inside"


@contextmanager
def recording(
    model: nn.Module,
    layers: Sequence[str] = (AUTO,),
    *,
    gradients: bool = False,
    from_start: bool = True,
) -> Iterator[dict[str, Tensor]]:
    """Records what layers return, in the forward that runs inside.

    Only calls by this thread are recorded, and of a layer that is called again the last. What a
    later layer changes in place does not change the record. The hooks are gone after the block,
    however it ends.

    Args:
        model: any module.
        layers: names as ``model.named_modules()`` has them. ``"auto"``: of a classifier, whose
            output is ``[B, classes]``, the last map ``[B, C, H, W]`` before its pooling; of other
            models the last of the maps with the most channels, which is where a trunk ends. It is
            recorded under the name of the layer that returned it (``"the last map"`` where a
            function made it) and has gradients only if the input has.
        gradients: let ``torch.autograd.grad`` take gradients by the records, whether or not a
            weight of the model has any.
        from_start: False: autograd notes nothing before the first of the layers, which saves its
            time and memory. A layer that the model itself calls under ``torch.no_grad`` needs True.

    Yields:
        The records by name, filled by the forward.

    Raises:
        ValueError: no such layer.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from fastcv.explain._layers import recording
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), nn.Flatten())
        >>> with recording(model, ["0"], gradients=True) as records:
        ...     output = model(torch.rand(2, 3, 8, 8))
        >>> records["0"].shape, bool((records["0"] < 0).any())
        (torch.Size([2, 4, 6, 6]), True)
        >>> torch.autograd.grad(output.sum(), records["0"])[0].unique()
        tensor([0., 1.])
    """
    records: dict[str, Tensor] = {}

    def record(name: str, _: Any, output: Any) -> Any:
        check_record(name, output)
        if gradients and not from_start:
            torch.set_grad_enabled(True)  # for what comes behind
        with torch.set_grad_enabled(gradients or torch.is_grad_enabled()):
            if gradients and not output.requires_grad:
                output = output.detach().requires_grad_()
            records[name] = output
            return output.clone()

    with OwnHooks() as hooks:
        if not from_start:
            hooks.enter_context(torch.no_grad())
        for name in layers:
            if name != AUTO:
                hooks.after(find_layer(model, name), partial(record, name))
        if AUTO in layers:
            hooks.enter_context(_automatic(model, records))
        yield records


@contextmanager
def _automatic(model: nn.Module, records: dict[str, Tensor]) -> Iterator[None]:
    """Records one map under the name of the outermost layer that returned it."""
    check_is_python(model)
    maps = _Maps()

    def begin(args: Any, _: Any) -> None:
        maps.images = len(args[0])

    def choose(_: Any, output: Any) -> None:
        scores = logits_of(output)
        classifies = scores is not None and scores.ndim == 2
        chosen = maps.last if classifies else maps.widest
        if chosen is not None:
            records[chosen[1]] = chosen[0]

    with OwnHooks() as hooks, maps:
        for name, module in model.named_modules():
            if name:
                hooks.after(module, partial(maps.name, name))
        hooks.before(model, begin)
        hooks.after(model, choose)
        yield


class _Maps(TorchFunctionMode):
    """The last map ``[B, C, H, W]`` that any function made and no pool did, and the widest."""

    def __init__(self) -> None:
        super().__init__()
        self.last: tuple[Tensor, str] | None = None
        self.widest: tuple[Tensor, str] | None = None
        self.images = 0  # B

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if not isinstance(result, Tensor) or result.ndim != 4 or len(result) != self.images:
            return result  # of weights or regions, or no map at all
        if result.shape[2] * result.shape[3] > 1 and not _pools(function):
            self.last = result, "the last map"
            if self.widest is None or result.shape[1] >= self.widest[0].shape[1]:
                self.widest = self.last
        return result

    def name(self, name: str, _: Any, output: Any) -> None:
        if self.last is not None and output is self.last[0]:
            self.last = output, name
        if self.widest is not None and output is self.widest[0]:
            self.widest = output, name


def _pools(function: Any) -> bool:
    # Dropout as well: of a pool's output it makes nothing else.
    name = getattr(function, "__name__", "")
    return "pool" in name or "dropout" in name


def logits_of(output: Any) -> Tensor | None:
    """The scores in what a model returned: itself, its ``logits``, or ``["out"]``; else None."""
    if isinstance(output, dict):
        output = output.get("logits", output.get("out"))
    found = output if isinstance(output, Tensor) else getattr(output, "logits", None)
    return found if isinstance(found, Tensor) else None


def check_record(layer: str, output: Any) -> None:
    """Raises a ValueError if a layer returned anything but a tensor."""
    if not isinstance(output, Tensor):
        raise ValueError(f"layer {layer!r} must return a tensor, got {type(output).__name__}")


def the_map(records: dict[str, Tensor], layer: str, images: int) -> tuple[str, Tensor]:
    """The one record, if it is a map of each image.

    Raises:
        ValueError: the layer was not called, or what it returned is no map.
    """
    if not records and layer == AUTO:
        raise ValueError("layer='auto' found no map [B, C, H, W] in the model's forward: name one")
    if not records:
        raise ValueError(f"layer {layer!r} is not called in the model's forward")
    ((name, record),) = records.items()
    check_record(name, record)
    if record.ndim != 4 or len(record) != images or record.shape[2] * record.shape[3] == 1:
        raise ValueError(
            f"layer {name!r} must give maps [{images}, C, H, W] of more than one cell, got "
            f"{list(record.shape)}"
        )
    return name, record
