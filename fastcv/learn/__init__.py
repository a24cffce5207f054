"""Learning: the one training loop, and learning from little data."""

from typing import Any

from fastcv._old_names import moved_attribute
from fastcv.learn._ema import EMA
from fastcv.learn.caption_batches import caption_batches
from fastcv.learn.distill import Distillation, distillation_loss
from fastcv.learn.fit import fit
from fastcv.learn.history import History
from fastcv.learn.noise import add_noise
from fastcv.learn.normalised_batches import normalised_batches
from fastcv.learn.own_data import Trained, train_on
from fastcv.learn.pseudo_labels import PseudoLabelled, confident_and_balanced
from fastcv.learn.question_batches import QuestionBatches
from fastcv.learn.self_train import self_train
from fastcv.learn.soundnet_student import SoundNetStudent
from fastcv.learn.transfer import freeze, new_head, two_rates, unfreeze

__all__ = [
    "EMA",
    "Distillation",
    "History",
    "PseudoLabelled",
    "QuestionBatches",
    "SoundNetStudent",
    "Trained",
    "add_noise",
    "caption_batches",
    "confident_and_balanced",
    "distillation_loss",
    "fit",
    "freeze",
    "new_head",
    "normalised_batches",
    "self_train",
    "train_on",
    "two_rates",
    "unfreeze",
]


def __getattr__(name: str) -> Any:
    return moved_attribute(__name__, name)
