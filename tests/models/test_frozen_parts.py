"""Systems put together of parts: what is frozen stays to the bit, and all else learns.

A row for each system: how to make it, a batch of ``forward``, targets of ``loss``, and the
beginnings of the frozen parts' keys.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch

import fastcv
from fastcv.data import SoundingClip
from fastcv.learn import SoundNetStudent
from fastcv.models.audio.sound_localization import SoundsAndPictures

SOUNDS = {"pools": (4, 4, 4), "head_kernel": 2, "rate": 16000}


@dataclass(frozen=True)
class System:
    make: Callable[[], Any]
    example: Callable[[Any], tuple[Any, Any]]
    frozen: tuple[str, ...]


def student():
    net = fastcv.create_model("soundnet8", num_classes=3, num_scenes=2, width=1, **SOUNDS)
    teachers = [fastcv.create_model("resnet18", num_classes=n, width=2) for n in (3, 2)]
    for teacher in teachers:
        teacher.preprocessing = {**teacher.preprocessing, "resize": 32, "crop": 32}
    return SoundNetStudent(net, *teachers)


def clips(model):
    return SoundingClip(torch.rand(3, 1, 3, 32, 32), torch.rand(3, 16000) - 0.5), None


def localizer():
    return fastcv.create_model(
        "sound_localization",
        width=2,
        sound_size=6,
        sound_width=1,
        sound_options={"num_scenes": 2, **SOUNDS},
    )


def pairs(model):
    """The features come from the part itself, while all is in training mode."""
    sounds = model.sound_features(torch.rand(3, 16000) - 0.5)
    # Those of a new SoundNet are nearly 0, and their ReLUs would stop much of the gradient.
    sounds = sounds + torch.randn(3, 6)
    return SoundsAndPictures(torch.rand(3, 3, 64, 64), sounds), torch.rand(3, 4, 4)


SYSTEMS = {
    "soundnet_student": System(student, clips, ("objects.", "scenes.")),
    "sound_localization": System(localizer, pairs, ("vision.", "sound_net.")),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_frozen_parts_stay_and_the_others_learn(name):
    system = SYSTEMS[name]
    torch.manual_seed(0)
    model = system.make().train()
    keys = {key for key, _ in model.named_parameters()}
    assert all(any(key.startswith(part) for key in keys) for part in system.frozen)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    # Of all parameters, with a decay: what is frozen must not hang on the optimiser's list.
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(2):
        inputs, targets = system.example(model)
        losses = model.loss(model(inputs), targets)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    for key, value in model.state_dict().items():
        if key.startswith(system.frozen):
            assert torch.equal(value, before[key]), f"{key} is of a frozen part and has changed"
        elif key in keys:
            assert not torch.equal(value, before[key]), f"{key} has not learnt"
