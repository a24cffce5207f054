"""A signal to stop, which all processes of a run heed at the same step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from fastcv._interrupt import NotedInterrupt

if TYPE_CHECKING:
    from lightning.fabric import Fabric


class Interrupt(NotedInterrupt):
    """As ``NotedInterrupt``, of any of a run's processes."""

    def __init__(self, fabric: Fabric) -> None:
        super().__init__()
        self._fabric = fabric

    def asked(self) -> bool:
        """Whether any process was asked to stop; all must call it, and get the same answer."""
        noted = torch.tensor(float(self.noted), device=self._fabric.device)
        total: Any = self._fabric.all_reduce(noted, reduce_op="sum")
        return bool(total > 0)
