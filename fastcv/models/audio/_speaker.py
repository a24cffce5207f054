"""What every model shares that reads texts aloud."""

from __future__ import annotations

import warnings
from typing import NamedTuple

import torch
from torch import Tensor

from fastcv.language import Symbols
from fastcv.models._mode import evaluating
from fastcv.models._model import Model
from fastcv.models.audio.tacotron_mel import TacotronMel
from fastcv.results import Speech

MAX_STEPS = 1000


class Spoken(NamedTuple):
    """Frames that a model made of texts.

    Args:
        mels: ``[B, mels, T]``.
        alignments: ``[B, T, N]``, where in the text each frame looked.
        frames: ``[B]`` int64, how many of T are of each text.
        ended: ``[B]`` bool, whether the model ended it, and not the limit.
    """

    mels: Tensor
    alignments: Tensor
    frames: Tensor
    ended: Tensor


class Speaker(Model):
    """A model that makes mel frames of symbols; a subclass writes ``infer``, as ``Tacotron2`` has.

    Args:
        symbols: that texts are made of.
        mels: bands of a frame.
    """

    def __init__(self, symbols: Symbols, mels: int) -> None:
        super().__init__()
        self.symbols, self.mels = symbols, mels
        self.front_end = TacotronMel(mels)

    @property
    def rate(self) -> int:
        """Of its sound, in Hz."""
        return self.front_end.rate

    def infer(
        self, ids: Tensor, lengths: Tensor, *, max_steps: int, seed: int | None = None
    ) -> Spoken:
        """Frames of texts; see ``Tacotron2.infer``."""
        raise NotImplementedError

    def speak(
        self, text: str, *, seed: int = 0, max_steps: int = MAX_STEPS, iterations: int = 60
    ) -> Speech:
        """A text as sound.

        Runs in eval mode without gradients; the training flags are put back.

        Args:
            text: what is to be said; see ``fastcv.language.Symbols``.
            seed: of the random numbers: the prenet leaves some out also here, and Griffin-Lim
                begins with random phases.
            max_steps: a text that has not ended after so many frames is cut, with a warning.
            iterations: of Griffin-Lim, which finds phases for the magnitudes.

        Raises:
            TypeError: ``text`` is no string.
            ValueError: it has no symbol that is known; or the frames are not finite.
        """
        ids = self.symbols.encode(text)[None].to(next(self.parameters()).device)
        lengths = torch.tensor([ids.shape[1]])
        with evaluating(self), torch.inference_mode():
            made = self.infer(ids, lengths, max_steps=max_steps, seed=seed)
        if not bool(made.ended):
            warnings.warn(
                f"the text had not ended after {max_steps} frames, "
                f"{max_steps * self.front_end.hop / self.rate:.1f} s: it was cut",
                stacklevel=2,
            )
        mel = made.mels[0].float()
        if not bool(mel.isfinite().all()):
            raise ValueError("the model made frames that are not finite: its weights are broken")
        return Speech(
            self.front_end.invert(mel, iterations=iterations, seed=seed),
            self.rate,
            mel=mel,
            alignment=made.alignments[0].float(),
            text=text,
            symbols=tuple(self.symbols.texts(ids[0])),
        )
