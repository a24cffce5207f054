"""Random numbers that depend on where training is, not on how it got there.

Every step and every item starts from numbers of its own, so that a run resumed in the middle of
an epoch, with other workers or on more processes draws what the first would have drawn.
"""

from __future__ import annotations

import random

import numpy as np
import torch


def derive(*key: int) -> int:
    """A 63-bit seed for a place such as ``(seed, epoch, step)``; near places are unrelated."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> np.uint64(1))


def seed_all(*key: int) -> None:
    """Seed python's, numpy's and torch's global generators for a place."""
    seed = derive(*key)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    # Not torch.manual_seed: before CUDA is started, each call of it is kept for later, with a
    # stack trace (0.5 ms and some memory a call).
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # torch's has no types
        torch.cuda.manual_seed(seed)
