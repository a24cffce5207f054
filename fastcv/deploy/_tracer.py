"""Tracing, in a process whose other threads run models."""

from __future__ import annotations

from threading import RLock, get_ident
from typing import Any

from torch import fx, nn

# While torch traces, Module.__call__ is another one, for all threads. Of two traces that overlap,
# the second would put the first one's back for good.
ONE_TRACE = RLock()


class Tracer(fx.Tracer):
    """fx's, which leaves other threads' calls of modules as they are."""

    def trace(self, root: Any, concrete_args: dict[str, Any] | None = None) -> fx.Graph:
        with ONE_TRACE:
            self.thread = get_ident()
            return super().trace(root, concrete_args)

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        if get_ident() != self.thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        if get_ident() != self.thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)
