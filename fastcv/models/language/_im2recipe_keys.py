"""torralba-lab's checkpoints of im2recipe: other names, and another order of the ingredients."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

from fastcv.language.vocabulary import SPECIAL

# Its ResNet is a list of torchvision's layers; those left out have no weights.
LAYERS = {"0": "conv1", "1": "bn1", **{str(i + 3): f"layer{i}" for i in (1, 2, 3, 4)}}
NUMBERED = re.compile(r"visionMLP\.(?:module\.)?(\d+)\.")
TABLE = "ingRNN_.embs.weight"
THEIR_SPECIAL = 2  # rows before those of words


def renamed(key: str) -> str:
    """Our key for one of torralba-lab's, with ``DataParallel`` about the ResNet or without.

    Example:
        >>> from fastcv.models.language._im2recipe_keys import renamed
        >>> renamed("visionMLP.module.4.0.bn1.bias"), renamed("stRNN_.lstm.bias_ih_l0")
        ('visionMLP.layer1.0.bn1.bias', 'stRNN_.lstm.bias_ih_l0')
    """
    found = NUMBERED.match(key)
    if not found or found[1] not in LAYERS:
        return key
    return f"visionMLP.{LAYERS[found[1]]}.{key[found.end() :]}"


def words_of(state: Mapping[str, Any]) -> int | None:
    """How many ingredients a file has vectors of, beside its special rows; None: no table."""
    if TABLE not in state:
        return None
    return len(state[TABLE]) - (THEIR_SPECIAL if _is_theirs(state) else len(SPECIAL))


def own_table(state: dict[str, Any], prefix: str) -> None:
    """Gives torralba-lab's table of ingredients our order, in place; other files keep theirs.

    Its rows are of padding, of the end of a list, and of words. Ours are of ``<pad>``, ``<start>``,
    ``<end>``, ``<unk>``, and of words. What it has none of is never read.
    """
    table = state.get(prefix + TABLE)
    if table is not None and len(table) >= THEIR_SPECIAL and _is_theirs(state, prefix):
        none = torch.zeros_like(table[:1])
        state[prefix + TABLE] = torch.cat([table[:1], none, table[1:2], none, table[2:]])


def _is_theirs(state: Mapping[str, Any], prefix: str = "") -> bool:
    return any(NUMBERED.match(key.removeprefix(prefix)) for key in state)
