"""Metrics for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def print_metrics(metrics: Mapping[str, Any]) -> None:
    """A line for each number; what is longer, such as a value for each class, is left to JSON."""
    for name, value in metrics.items():
        if isinstance(value, (int, float)):
            print(f"{name:20} {value:.4g}")
