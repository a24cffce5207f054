"""EfficientNet's keys by the names of timm's and of lukemelas's checkpoints."""

from __future__ import annotations

import re
from collections.abc import Sequence

# What lies outside the blocks: timm's names, then lukemelas's.
ENDS = {
    "conv_stem": "features.0.0",
    "bn1": "features.0.1",
    "conv_head": "features.8.0",
    "bn2": "features.8.1",
    "classifier": "classifier.1",
    "_conv_stem": "features.0.0",
    "_bn0": "features.0.1",
    "_conv_head": "features.8.0",
    "_bn1": "features.8.1",
    "_fc": "classifier.1",
}
# A block's parts in order. The first stage's do not widen, and Lite's have no gate.
PARTS = ("widen", "depthwise", "gate", "narrow")
TIMM = {
    "conv_pw": "widen.0",
    "bn1": "widen.1",
    "conv_dw": "depthwise.0",
    "bn2": "depthwise.1",
    "se.conv_reduce": "gate.fc1",
    "se.conv_expand": "gate.fc2",
    "conv_pwl": "narrow.0",
    "bn3": "narrow.1",
}
TIMM_FIRST_STAGE = {
    **TIMM,
    "bn1": "depthwise.1",
    "conv_pw": "narrow.0",
    "bn2": "narrow.1",
}
LUKEMELAS = {
    "_expand_conv": "widen.0",
    "_bn0": "widen.1",
    "_depthwise_conv": "depthwise.0",
    "_bn1": "depthwise.1",
    "_se_reduce": "gate.fc1",
    "_se_expand": "gate.fc2",
    "_project_conv": "narrow.0",
    "_bn2": "narrow.1",
}


def torchvision_key(key: str, blocks: Sequence[int], *, lite: bool) -> str:
    """torchvision's name of a weight, which the model has; a key of neither stays as it is.

    Args:
        key: of a state dict.
        blocks: of each stage; lukemelas numbers them through.
        lite: no block has a gate.

    Example:
        >>> torchvision_key("_blocks.1._bn2.weight", (1, 2), lite=True)
        'features.2.0.block.2.1.weight'
    """
    layer, _, name = key.rpartition(".")
    if layer in ENDS:
        return f"{ENDS[layer]}.{name}"
    if found := re.fullmatch(r"blocks\.(\d+)\.(\d+)\.(.+)", layer):
        stage, block = int(found[1]), int(found[2])
        place = (TIMM if stage else TIMM_FIRST_STAGE)[found[3]]
    elif found := re.fullmatch(r"_blocks\.(\d+)\.(.+)", layer):
        stage, block, place = 0, int(found[1]), LUKEMELAS[found[2]]
        while block >= blocks[stage]:
            block, stage = block - blocks[stage], stage + 1
    else:
        return key
    missing = [*(["widen"] if stage == 0 else []), *(["gate"] if lite else [])]
    part, _, rest = place.partition(".")
    at = [part for part in PARTS if part not in missing].index(part)
    return f"features.{stage + 1}.{block}.block.{at}.{rest}.{name}"
