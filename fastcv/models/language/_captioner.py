"""What every captioner shares: a sentence for a picture, and how far it is from a given one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.language.vocabulary import END, PAD, START, Vocabulary
from fastcv.models._image_model import ImageModel
from fastcv.models.language.beam_search import Sentences, State, beam_search, one_sentence
from fastcv.nn.losses._tensors import check_two_tensors
from fastcv.results import Caption

Method = Literal["greedy", "beam", "sample"]
METHODS = ("greedy", "beam", "sample")
MAX_WORDS = 50


class Captioner(ImageModel):
    """A model that says what is on a picture, word by word.

    A subclass writes ``forward(images)``, from normalised images ``[B, 3, S, S]`` to features
    ``[B, ...]``; ``begin``, and ``step``. What it learns from is ``(ids, lengths)``:
    ``caption_batches`` makes them.

    Args:
        words: of the vocabulary, without the four special ones.
    """

    preprocessing: Mapping[str, Any] = {
        "size": 256,
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
    }
    """``size``: of the square, in pixels, that each picture becomes as a whole."""

    tells_attention = False
    """Whether its captions know where was looked at each word."""

    no_onnx = "it writes a sentence word by word, in a loop that ends when the sentence does"

    def __init__(self, words: Sequence[str] = ()) -> None:
        super().__init__()
        self.vocabulary = Vocabulary(words)

    def begin(self, features: Tensor) -> tuple[State, State]:
        """What is known before ``<start>``.

        Args:
            features: ``[B, ...]``, of ``forward``.

        Returns:
            ``(memory, state)``: what stays, and what each step changes; tensors ``[B, ...]``.
        """
        raise NotImplementedError

    def step(
        self, words: Tensor, state: State, memory: State
    ) -> tuple[Tensor, State, Tensor | None]:
        """One word further.

        Args:
            words: ``[N]`` int64, the last of N sentences, K of each picture one after the other.
            state: ``[N, ...]`` each.
            memory: ``[B, ...]`` each, where N is a multiple of B.

        Returns:
            ``(logits, state, attention)``: of the next words ``[N, V]``; the next state; and where
            was looked, ``[N, h, w]``, or None where nothing like that is known.
        """
        raise NotImplementedError

    def teacher_forced(self, features: Tensor, ids: Tensor) -> tuple[Tensor, Tensor | None]:
        """What is said of each next word of given sentences.

        Args:
            features: ``[B, ...]``, of ``forward``.
            ids: ``[B, T]`` int64, which begin with ``<start>``.

        Returns:
            ``(logits, attention)``: ``[B, T, V]``, and ``[B, T, h, w]`` or None. Those of the last
            word are of what would follow.
        """
        memory, state = self.begin(features)
        logits, maps = [], []
        for words in ids.unbind(1):
            of_next, state, attention = self.step(words, state, memory)
            logits.append(of_next)
            maps.append(attention)
        seen = [m for m in maps if m is not None]
        return torch.stack(logits, 1), torch.stack(seen, 1) if seen else None

    def loss(self, output: Tensor, targets: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """The mean negative log-probability of a word, where the words before it are right.

        Args:
            output: features ``[B, ...]``, of ``forward``.
            targets: ``(ids, lengths)``: ``[B, T]`` int64, with ``<start>`` and ``<end>``; and
                ``[B]`` int64, how many of them count.

        Raises:
            TypeError: targets that are no pair of tensors.
            ValueError: targets of another shape or dtype, or ids of no word.
        """
        ids, lengths = self.check_targets(output, targets)
        logits, _ = self.teacher_forced(output, ids[:, :-1])
        counts = counted(ids, lengths)
        return {"nll": F.cross_entropy(logits[counts], ids[:, 1:][counts])}

    def check_targets(self, output: Tensor, targets: Any) -> tuple[Tensor, Tensor]:
        """The targets of ``loss``, which they fit.

        Raises:
            TypeError, ValueError: as of ``loss``.
        """
        check_two_tensors("targets", targets, "(ids, lengths), two tensors")
        ids, lengths = targets
        batch, size = len(output), len(self.vocabulary)
        if ids.ndim != 2 or len(ids) != batch or ids.shape[1] < 2 or ids.dtype != torch.int64:
            raise ValueError(
                f"targets must have ids [{batch}, 2 or more] int64, got {list(ids.shape)} "
                f"{ids.dtype}"
            )
        if lengths.shape != (batch,) or lengths.dtype != torch.int64:
            raise ValueError(
                f"targets must have lengths [{batch}] int64, got {list(lengths.shape)} "
                f"{lengths.dtype}"
            )
        if bool(((ids < 0) | (ids >= size)).any()):
            raise ValueError(
                f"targets must have ids 0 to {size - 1}, as the vocabulary has, got "
                f"{int(ids.min())} to {int(ids.max())}"
            )
        if bool(((lengths < 2) | (lengths > ids.shape[1])).any()):
            raise ValueError(
                f"targets must have lengths 2 to {ids.shape[1]}, got {int(lengths.min())} to "
                f"{int(lengths.max())}"
            )
        return ids, lengths

    def prepare(self, images: list[Tensor]) -> Tensor:
        """Images ``[3, H, W]`` in [0, 1] to one batch ``[B, 3, S, S]``, normalised."""
        return as_squares(images, self.preprocessing)

    def predict_batch(  # type: ignore[override]  # predict checks the options
        self,
        images: Sequence[Tensor],
        *,
        method: Method = "greedy",
        beam_size: int = 3,
        max_words: int = MAX_WORDS,
        seed: int = 0,
    ) -> list[Caption]:
        """A caption for each image; ``predict`` calls it.

        Args:
            images: ``[3, H, W]``, uint8 or in [0, 1].
            method: ``"greedy"``: the most probable word each time; ``"beam"``: the most probable
                sentence that ``beam_search`` finds, and its others as alternatives; ``"sample"``:
                words by their probability.
            beam_size: of ``"beam"``.
            max_words: a caption of so many words ends there.
            seed: of ``"sample"``; a picture's caption is the same in any batch.

        Raises:
            ValueError: another method, or a number under 1.
        """
        if method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, got {method!r}")
        features = self(self.prepare([self.as_float(image) for image in images]))
        memory, state = self.begin(features)
        step = partial(self._log_probs, memory)
        ends = {"start": self.vocabulary.id_of(START), "end": self.vocabulary.id_of(END)}
        if method == "beam":
            found = beam_search(step, state, beam_size=beam_size, max_words=max_words, **ends)
        else:
            choose = _best if method == "greedy" else _Drawn(seed, max_words)
            found = one_sentence(step, state, choose, max_words=max_words, **ends)
        return self._captions(features, found)

    def _option_takers(self) -> Sequence[Callable[..., Any]]:
        return (self.predict_batch,)

    def read_checkpoint(self, path: Path) -> dict[str, Tensor]:
        """The state dict in a file.

        Raises:
            ValueError: it is none, or of a vocabulary of another size.
        """
        state = super().read_checkpoint(path)
        size = len(self.vocabulary)
        for key, tensor in state.items():
            if key.endswith("embedding.weight") and len(tensor) != size:
                raise ValueError(
                    f"{path} has weights of a vocabulary of {len(tensor)} words, with the four "
                    f"special ones, and this model's has {size}: pass the words that it was "
                    "trained with, words=(...)"
                )
        return state

    def _log_probs(self, memory: State, words: Tensor, state: State) -> tuple[Tensor, State]:
        """Of the next words; a caption says no ``<pad>`` and no ``<start>``."""
        logits, state, _ = self.step(words, state, memory)
        found = logits.float().log_softmax(dim=1)
        found[:, [self.vocabulary.id_of(word) for word in (PAD, START)]] = -torch.inf
        return found, state

    def _captions(self, features: Tensor, found: Sentences) -> list[Caption]:
        start, end = (self.vocabulary.id_of(word) for word in (START, END))
        best = found.ids[:, 0]
        best[found.scores[:, 0].isneginf(), 0] = end  # of a model that diverged: nothing
        lengths = (best == end).int().argmax(dim=1) + 1
        best = best[:, : int(lengths.max())]
        given = torch.cat([torch.full_like(best[:, :1], start), best[:, :-1]], dim=1)
        logits, attention = self.teacher_forced(features, given)
        said = logits.float().log_softmax(dim=2).gather(2, best[:, :, None])[:, :, 0]
        captions = []
        for i, length in enumerate(lengths.tolist()):
            others = zip(found.ids[i, 1:], found.scores[i, 1:].tolist(), strict=True)
            captions.append(
                Caption(
                    tuple(self.vocabulary.words[word] for word in best[i, : length - 1].tolist()),
                    said[i, :length],
                    None if attention is None else attention[i, : length - 1],
                    tuple(
                        (self.vocabulary.decode(ids), score)
                        for ids, score in others
                        if score > -float("inf")
                    ),
                )
            )
        return captions


def as_squares(images: Sequence[Tensor], preprocessing: Mapping[str, Any]) -> Tensor:
    """Images ``[3, H, W]`` in [0, 1] as one normalised batch ``[B, 3, S, S]``.

    Args:
        images: of any sizes; each becomes a square as a whole.
        preprocessing: ``size``, ``mean`` and ``std``.
    """
    size = (preprocessing["size"],) * 2
    squares = torch.stack(
        [
            image
            if image.shape[1:] == size
            else F.interpolate(image[None], size, mode="bilinear", antialias=True)[0]
            for image in images
        ]
    )
    mean, std = (squares.new_tensor(preprocessing[key])[:, None, None] for key in ("mean", "std"))
    return (squares - mean) / std


def counted(ids: Tensor, lengths: Tensor) -> Tensor:
    """``[B, T - 1]`` bool: which of the words behind ``<start>`` are no padding."""
    return torch.arange(1, ids.shape[1], device=ids.device) < lengths[:, None]


def _best(log_probs: Tensor, length: int) -> Tensor:
    return log_probs.argmax(dim=1)


class _Drawn:
    """Words by their probability, of the same random numbers for each picture.

    So what is drawn of a picture depends on no other, nor on the device.
    """

    def __init__(self, seed: int, max_words: int) -> None:
        self.numbers = np.random.default_rng(seed).random(max_words + 1)

    def __call__(self, log_probs: Tensor, length: int) -> Tensor:
        summed = log_probs.exp().cumsum(dim=1)
        # Below the sum, which rounding leaves a little off 1.
        reached = summed > self.numbers[length] * summed[:, -1:]
        return reached.int().argmax(dim=1)
