"""Forward hooks of one thread, for a while."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from threading import get_ident
from typing import Any

from torch import nn


class OwnHooks(ExitStack):
    """Hooks that see only what the thread that made them runs, and are gone after the block.

    Other threads may run the same model meanwhile, with hooks of their own or without.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from fastcv.nn._hooks import OwnHooks
        >>> layer, seen = nn.Linear(2, 3), []
        >>> with OwnHooks() as hooks:
        ...     hooks.after(layer, lambda args, output: seen.append(output.shape))
        ...     _ = layer(torch.rand(4, 2))
        >>> _ = layer(torch.rand(5, 2))
        >>> seen
        [torch.Size([4, 3])]
    """

    def __init__(self) -> None:
        super().__init__()
        self._thread = get_ident()

    def before(self, module: nn.Module, hook: Callable[[Any, dict[str, Any]], Any]) -> None:
        """``hook(args, kwargs)`` before the module runs; what it returns takes their place."""

        # While it is put on or taken off, another thread may call it without the keywords.
        def call(_: nn.Module, args: Any, kwargs: dict[str, Any] | None = None) -> Any:
            return hook(args, kwargs or {}) if get_ident() == self._thread else None

        self.callback(module.register_forward_pre_hook(call, with_kwargs=True).remove)

    def after(
        self, module: nn.Module, hook: Callable[[Any, Any], Any], *, always: bool = False
    ) -> None:
        """``hook(args, output)`` after it; what it returns takes the output's place.

        Args:
            module: any.
            hook: None from it leaves the output as it is.
            always: call it also where the module raises, with None as output.
        """

        def call(_: nn.Module, args: Any, output: Any) -> Any:
            return hook(args, output) if get_ident() == self._thread else None

        self.callback(module.register_forward_hook(call, always_call=always).remove)
