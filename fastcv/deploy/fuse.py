"""What ``fastcv.optimize`` does on the CPU: convolutions joined with what is about them."""

from __future__ import annotations

import inspect
import operator
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import fx, nn
from torch.nn import functional as F

from fastcv.deploy._tracer import Tracer
from fastcv.deploy.fused_conv import FusedConv2d, is_hooked, is_separable, separable_conv2d
from fastcv.deploy.instance_norm import InstanceNorm2d

ACTIVATION_OF: dict[Any, str] = {
    nn.ReLU: "relu",
    F.relu: "relu",
    torch.relu: "relu",
    "relu": "relu",
    "relu_": "relu",
    nn.SiLU: "swish",
    F.silu: "swish",
    nn.Sigmoid: "sigmoid",
    torch.sigmoid: "sigmoid",
    "sigmoid": "sigmoid",
}
ADDITIONS = (operator.add, torch.add)


def fuse(model: nn.Module) -> None:
    """Makes a model's convolutions ``FusedConv2d``, and lets forwards use what those can.

    A forward is rewritten where it is one of fastcv's or a Sequential's, for those can be traced
    and mean the same: a module of somebody else's may look at its input's type. The rewritten one
    belongs to a subclass of the module's class; modules, parameters and their names stay.
    """
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.Conv2d) and FusedConv2d.can_be(child):
                setattr(parent, name, FusedConv2d(child))
    _fuse_largest(model)


def _fuse_largest(module: nn.Module) -> None:
    """Rewrites the largest parts whose forward can be traced."""
    graph = _trace(module) if _may_be_rewritten(module) else None
    if graph is None:
        for child in module.children():
            _fuse_largest(child)
    elif _rewrite(module, graph):
        _set_forward(module, graph)


def _may_be_rewritten(module: nn.Module) -> bool:
    kind = type(module)
    if kind is not nn.Sequential and not kind.__module__.startswith("fastcv."):
        return False
    if is_hooked(module):
        return False
    # With a default that is left out, or any number of inputs, one trace is not the whole.
    parameters = inspect.signature(module.forward).parameters.values()
    return [(p.kind, p.default) for p in parameters] == [
        (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.empty)
    ]


class _Tracer(Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        inlined = type(m) is nn.Sequential or type(m).__module__.startswith("fastcv.")
        return isinstance(m, (FusedConv2d, InstanceNorm2d)) or not inlined or is_hooked(m)


def _trace(module: nn.Module) -> fx.Graph | None:
    try:
        return _Tracer().trace(module)
    except Exception:  # whatever a forward does with a symbolic input: its parts are asked instead
        return None


def _rewrite(module: nn.Module, graph: fx.Graph) -> bool:
    """Joins separable convolutions, and others with the addition and activation behind them."""
    modules = dict(module.named_modules())

    def kind(node: fx.Node) -> Any:
        """What a node calls: a module's type, a function or a method's name."""
        return type(modules[str(node.target)]) if node.op == "call_module" else node.target

    for node in list(graph.nodes):
        if node.op == "call_module" and kind(node) is nn.Identity and len(node.args) == 1:
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)

    changed = _join_separable(graph, modules, kind)
    for node in list(graph.nodes):
        if node.op != "call_module" or kind(node) is not FusedConv2d or len(node.args) != 1:
            continue
        chain, options = [node], {}
        after = _only_user(node)
        if after is not None and _is_addition(after) and not _changes(node, after, modules):
            first, second = after.args
            options["other"] = second if first is node else first
            chain.append(after)
            after = _only_user(after)
        if after is not None and after.args[0] is chain[-1] and kind(after) in ACTIVATION_OF:
            activation = ACTIVATION_OF[kind(after)]
            if activation == "relu" or "other" not in options:  # what oneDNN has
                options["activation"] = activation
                chain.append(after)
        if len(chain) == 1:
            continue
        with graph.inserting_before(chain[-1]):
            fused = graph.call_module(str(node.target), node.args, options)
        chain[-1].replace_all_uses_with(fused)
        for old in reversed(chain):
            graph.erase_node(old)
        changed = True
    order = {node: i for i, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        if "other" in node.kwargs and kind(node) is FusedConv2d:
            other = node.kwargs["other"]
            # Its memory may be written where a convolution made it and all have read it before.
            read = [
                _is_convolution(user, kind)
                and order[user] < order[node]
                and user.kwargs.get("other") is not other
                for user in other.users
                if user is not node
            ]
            overwrite = _is_convolution(other, kind) and node.args[0] is not other and all(read)
            node.kwargs = {**node.kwargs, "overwrite": overwrite}
    return changed


def _join_separable(
    graph: fx.Graph, modules: dict[str, nn.Module], kind: Callable[[fx.Node], Any]
) -> bool:
    """Makes one call of each depthwise convolution with a large rate and the 1x1 one behind it."""
    changed = False
    for depthwise in list(graph.nodes):
        if not _is_convolution(depthwise, kind):
            continue
        between, after = _relu(_only_user(depthwise), kind)
        pointwise = after
        if pointwise is None or not _is_convolution(pointwise, kind):
            continue
        pair: Any = [modules[str(node.target)] for node in (depthwise, pointwise)]
        if not is_separable(*pair):
            continue
        last, _ = _relu(_only_user(pointwise), kind)
        # All that follows depends on the depthwise convolution alone: it may come that early.
        with graph.inserting_before(depthwise):
            weights = [graph.get_attr(str(node.target)) for node in (depthwise, pointwise)]
            options = ["relu" if node is not None else None for node in (between, last)]
            joined = graph.call_function(separable_conv2d, (depthwise.args[0], *weights, *options))
        chain = [node for node in (depthwise, between, pointwise, last) if node is not None]
        chain[-1].replace_all_uses_with(joined)
        for old in reversed(chain):
            graph.erase_node(old)
        changed = True
    return changed


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _relu(
    node: fx.Node | None, kind: Callable[[fx.Node], Any]
) -> tuple[fx.Node | None, fx.Node | None]:
    """A node if it is a ReLU, and the one behind it; otherwise None and the node itself."""
    if node is None or ACTIVATION_OF.get(kind(node)) != "relu":
        return None, node
    return node, _only_user(node)


def _is_convolution(node: fx.Node, kind: Callable[[fx.Node], Any]) -> bool:
    return node.op == "call_module" and kind(node) is FusedConv2d


def _is_addition(node: fx.Node) -> bool:
    if node.op != "call_function" or node.target not in ADDITIONS or node.kwargs:
        return False
    if len(node.args) != 2 or not all(isinstance(a, fx.Node) for a in node.args):
        return False
    return node.args[0] is not node.args[1]


def _changes(start: fx.Node, end: fx.Node, modules: dict[str, nn.Module]) -> bool:
    """Whether a node between two changes a tensor in place: the first may not move past it."""
    node = start.next
    while node is not end:
        if (
            (node.op == "call_module" and getattr(modules[str(node.target)], "inplace", False))
            or node.kwargs.get("inplace")
            or node.target in (operator.iadd, operator.imul, operator.setitem)
            or (node.op == "call_method" and str(node.target).endswith("_"))
        ):
            return True
        node = node.next
    return False


def _set_forward(module: nn.Module, graph: fx.Graph) -> None:
    base = type(module)
    forward = type(fx.GraphModule(module, graph)).forward
    namespace = {"forward": forward, "__reduce_ex__": _reduce, "__module__": base.__module__}
    if base is nn.Sequential:
        namespace["__getitem__"] = _getitem
    module.__class__ = type(base.__name__, (base,), namespace)


def _getitem(module: nn.Sequential, index: int | slice) -> Any:
    """A slice of a Sequential is a plain one: the forward that was made here calls all layers."""
    if isinstance(index, slice):
        # named_children would leave out a layer that occurs a second time.
        layers = cast("list[tuple[str, nn.Module]]", list(module._modules.items()))
        return nn.Sequential(OrderedDict(layers[index]))
    return nn.Sequential.__getitem__(module, index)


def _reduce(module: nn.Module, protocol: int) -> Any:
    """For ``copy`` and ``pickle``, which find no class that was made here: they fuse anew."""
    return _restore, (type(module).__mro__[1], module.__dict__)


def _restore(base: type[nn.Module], state: dict[str, Any]) -> nn.Module:
    module = base.__new__(base)
    module.__dict__.update(state)
    _fuse_largest(module)
    return module
