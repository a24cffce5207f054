"""JSON as its standard has it: without NaN and infinities."""

from __future__ import annotations

import json
import math
from typing import Any


def plain(value: Any) -> Any:
    """The same with None, which is JSON's null, for each number that is NaN or infinite.

    Example:
        >>> from fastcv._json import plain
        >>> plain({"score": float("nan"), "box": [0.5, float("inf"), 3]})
        {'score': None, 'box': [0.5, None, 3]}
    """
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    return value


def to_json(value: Any) -> str:
    """The text of a JSON file of lists, dicts, strings and numbers."""
    return json.dumps(plain(value), indent=1, allow_nan=False) + "\n"


def to_json_line(value: Any) -> str:
    """The same in one line, for files that hold one value a line."""
    return json.dumps(plain(value), allow_nan=False) + "\n"
