"""Self-training: a teacher labels images, a noisy student learns from them and teaches."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from fastcv.data.protocols import SizedDataset
from fastcv.learn._seed import derive
from fastcv.learn._state import write_weights
from fastcv.learn.fit import fit
from fastcv.learn.history import History
from fastcv.learn.pseudo_labels import PseudoLabelled, confident_and_balanced, predict_scores
from fastcv.models import ImageModel

Make = Callable[[int], tuple[ImageModel, dict[str, Any]]]


def self_train(
    make: Make,
    labelled: SizedDataset,
    unlabelled: SizedDataset,
    *,
    rounds: int,
    threshold: float = 0.3,
    per_class: int | None = None,
    soft: bool = True,
    out: str | os.PathLike[str] = "runs/self_train",
    seed: int = 0,
    batch_size: int = 64,
    progress: bool = True,
) -> tuple[ImageModel, list[History]]:
    """Noisy Student: a teacher learns from labels, and each round's student teaches the next.

    Round 0 fits a model on the labelled images. Each later round has the last model label the
    unlabelled images, keeps what it is confident about, and fits a new model, as large or larger,
    on both together. The teacher sees the images as they are; the student's come through the
    ``collate_fn`` of its options, with RandAugment for instance, and its layers may have noise
    (``add_noise``).

    Each round is a run of ``fit`` in a folder of its own, with the teacher's answers beside it. A
    call that was stopped, between rounds or in the middle of one, goes on when made again.

    Args:
        make: for a round, 0 to ``rounds``, the model with random weights and what ``fit`` is given
            for it: ``epochs``, ``batch_size``, ``optimizer`` and so on.
        labelled: items ``(image, label)``, images in [0, 1].
        unlabelled: items ``(image, anything)``; the second is not looked at.
        rounds: students; the paper has three.
        threshold: the least confidence of an answer that is used.
        per_class: so many images of each class, as in ``confident_and_balanced``; None: all.
        soft: students learn the teacher's probabilities; False: its likeliest class.
        out: folder; round ``r`` is in ``round-r``.
        seed: of the models' weights and of ``fit``.
        batch_size: images at a time when the teacher answers.
        progress: show bars and sentences.

    Returns:
        The last student, and the history of each round.

    Raises:
        ValueError: an argument is out of its range, a teacher is confident of too few images for
            a batch, or a round's folder has a run of other settings.

    Source: Xie et al., "Self-training with Noisy Student improves ImageNet classification" (2020),
        algorithm 1.

    Example: see docs/learn_from_little.md.
    """
    if rounds < 0:
        raise ValueError(f"rounds must be at least 0, got {rounds}")
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be in [0, 1], got {threshold}")
    model: ImageModel | None = None
    histories = []
    for number in range(rounds + 1):
        folder = Path(out, f"round-{number}")
        data: SizedDataset = labelled
        if model is not None:
            scores = _answers(model, unlabelled, folder, batch_size, progress)
            chosen = confident_and_balanced(scores, threshold=threshold, per_class=per_class)
            data = PseudoLabelled(labelled, unlabelled, scores, chosen, soft=soft)
            if progress:
                used = len(set(chosen.tolist()))
                print(f"round {number}: {used} of {len(scores)} images with a teacher's label")
        torch.manual_seed(derive(seed, number))
        model, options = make(number)
        histories.append(
            fit(model, data, **{"out": folder, "seed": seed, "progress": progress, **options})
        )
    assert model is not None
    return model, histories


def _answers(
    teacher: ImageModel, unlabelled: SizedDataset, folder: Path, batch_size: int, progress: bool
) -> Tensor:
    """The teacher's answers, asked once: a run that goes on must go on with the same ones."""
    path = folder / "pseudo_labels.safetensors"
    if not path.exists():
        scores = predict_scores(teacher, unlabelled, batch_size=batch_size, progress=progress)
        write_weights(path, {"scores": scores})
    scores = load_file(path)["scores"]
    if len(scores) != len(unlabelled):
        raise ValueError(
            f"{path} has answers for {len(scores)} images, and unlabelled has "
            f"{len(unlabelled)}: choose another out"
        )
    return scores
