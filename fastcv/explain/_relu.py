"""Another gradient for every ReLU of one forward, in whatever form the model has it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from fastcv.explain._checks import check_is_python
from fastcv.nn._hooks import OwnHooks

aten = torch.ops.aten

OTHER_ACTIVATIONS = frozenset(
    [
        "celu",
        "elu",
        "gelu",
        "hardswish",
        "leaky_relu",
        "mish",
        "prelu",
        "rrelu",
        "selu",
        "silu",
        "softplus",
        "softsign",
        "tanh",
    ]
)


@dataclass(frozen=True)
class Rule:
    """What a ReLU does to the gradient ``g`` that comes back, where its input was ``h``.

    Args:
        by_input: multiply by ``[h > 0]``, as the derivative does.
        by_gradient: multiply by ``[g > 0]``.
        through_norms: let the gradient pass a local response normalisation as it is.
    """

    by_input: bool
    by_gradient: bool
    through_norms: bool = False


BACKPROP = Rule(by_input=True, by_gradient=False)
DECONVNET = Rule(by_input=False, by_gradient=True, through_norms=True)
GUIDED = Rule(by_input=True, by_gradient=True)


@contextmanager
def relu_rule(model: nn.Module, rule: Rule, *, force: bool = False) -> Iterator[None]:
    """ReLUs that this thread runs inside have the rule's gradient.

    Whether module, function or method, in place or not, used once or often, with an upper limit
    (ReLU6) or as ``clamp(min=0)``. The model itself is not changed.

    Raises:
        ValueError: the model has an activation that is no ReLU, unless ``force``; or torch.jit made
            it.
    """
    check_is_python(model)
    names = [""]
    with OwnHooks() as hooks:
        for name, module in model.named_modules():
            hooks.before(module, partial(_enter, names, name))
            hooks.after(module, partial(_leave, names), always=True)
        hooks.enter_context(_ReluMode(rule, names, force))
        yield


def _enter(names: list[str], name: str, _: Any, __: Any) -> None:
    names.append(name)


def _leave(names: list[str], _: Any, __: Any) -> None:
    names.pop()


class _ReluMode(TorchFunctionMode):
    def __init__(self, rule: Rule, names: list[str], force: bool) -> None:
        super().__init__()
        self.rule, self.names, self.force = rule, names, force

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if not args or not isinstance(args[0], Tensor) or not args[0].requires_grad:
            return function(*args, **kwargs)
        # Exported programs call "relu.default".
        name = getattr(function, "__name__", "").partition(".")[0]
        relu = _as_relu(name, args[1:], kwargs)
        if relu is not None:
            highest, in_place = relu
            return _Rectify.apply(args[0], self.rule, highest, in_place)
        if name.rstrip("_") in OTHER_ACTIVATIONS and not self.force:
            layer = repr(self.names[-1]) if self.names[-1] else "the model itself"
            raise ValueError(
                f"the model must have no activations but ReLU, and layer {layer} has {name}: "
                "force=True leaves the gradient of such layers as it is"
            )
        result = function(*args, **kwargs)
        if self.rule.through_norms and name == "local_response_norm":
            return args[0] + (result - args[0]).detach()
        return result


def _as_relu(name: str, args: Any, kwargs: dict[str, Any]) -> tuple[float, bool] | None:
    """Its upper limit, and whether it works in place; None: the function is no ReLU."""
    plain = name.strip("_")
    signature = SIGNATURES.get(plain)
    if signature is None:
        return None
    given = {**dict(zip(signature, args, strict=False)), **kwargs}
    in_place = name.endswith("_") or bool(given.get("inplace", False))
    lowest, highest = given.get("min", 0.0), given.get("max", math.inf)
    if plain == "relu6":
        highest = 6.0
    if plain == "hardtanh":
        lowest, highest = given.get("min_val", -1.0), given.get("max_val", 1.0)
    if plain == "threshold" and (given.get("threshold"), given.get("value")) != (0, 0):
        return None
    if plain in ("clamp", "clip") and given.get("min") is None:
        return None
    highest = math.inf if highest is None else highest
    if isinstance(lowest, Tensor) or isinstance(highest, Tensor) or lowest != 0:
        return None
    return float(highest), in_place


SIGNATURES: dict[str, tuple[str, ...]] = {
    "relu": ("inplace",),
    "relu6": ("inplace",),
    "hardtanh": ("min_val", "max_val", "inplace"),
    "threshold": ("threshold", "value", "inplace"),
    "clamp": ("min", "max"),
    "clip": ("min", "max"),
    "clamp_min": ("min",),
}
"""What comes after the input, of the functions that may be a ReLU."""


class _Rectify(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, rule: Rule, highest: float, in_place: bool) -> Tensor:
        if in_place:
            ctx.mark_dirty(x)
        result = x.relu_() if in_place else x.relu()
        if highest != math.inf:
            result.clamp_(max=highest)
        ctx.rule, ctx.highest = rule, highest
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        if ctx.rule.by_input:
            (result,) = ctx.saved_tensors
            if ctx.highest == math.inf:
                grad = aten.threshold_backward(grad, result, 0)
            else:
                grad = aten.hardtanh_backward(grad, result, 0, ctx.highest)
            return grad.relu_() if ctx.rule.by_gradient else grad, None, None, None
        return grad.relu() if ctx.rule.by_gradient else grad, None, None, None
