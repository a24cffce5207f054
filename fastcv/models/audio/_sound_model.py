"""What every model of sounds shares: ``predict``, from sounds to results."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from fastcv.models._model import Model
from fastcv.models._predict import predict_each
from fastcv.results import Result
from fastcv.sounds import Sound, SoundInput, read_sound


class SoundModel(Model):
    """A model with ``forward(waves)``, of waveforms ``[B, N]`` in [-1, 1] at its ``rate``.

    A subclass writes ``forward``, ``loss`` and ``postprocess(output, **options)``, and ``prepare``
    where waveforms of one length are not what its ``forward`` takes.

    Example:
        >>> import torch
        >>> from fastcv.models.audio._sound_model import SoundModel
        >>> from fastcv.results import Classification
        >>> class LoudOrQuiet(SoundModel):
        ...     classes, rate = ("quiet", "loud"), 8000
        ...     def forward(self, waves):
        ...         return waves.abs().mean(dim=1)
        ...     def postprocess(self, output):
        ...         return [Classification(torch.stack([1 - x, x]), self.classes) for x in output]
        >>> LoudOrQuiet().predict((torch.full((16000,), 0.75), 16000))
        [Classification(loud 0.75, quiet 0.25)]
    """

    rate: int
    """Samples a second that ``forward`` takes, in Hz."""

    postprocess: Callable[..., Sequence[Result]]
    """``postprocess(output, *, ...)``: a result for each sound, of what ``forward`` returned."""

    def prepare(self, waves: list[Tensor]) -> Any:
        """What ``forward`` takes, of waveforms ``[N]`` at ``rate`` on the model's device: here a
        batch, of the shorter ones with silence behind."""
        return torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)

    def predict(
        self,
        inputs: SoundInput | Sequence[SoundInput],
        *,
        batch_size: int = 1,
        progress: bool = False,
        **options: Any,
    ) -> list[Any]:
        """Results for sounds, whatever form they come in.

        Runs in eval mode without gradients, on the model's device and in its dtype; the training
        flags are put back. Channels are averaged, and other rates brought to the model's.

        Args:
            inputs: a file, ``(samples, rate)``, a ``Sound``, or a list of those.
            batch_size: sounds at a time.
            progress: show a progress bar.
            options: what ``postprocess`` takes.

        Returns:
            A result for each sound in order; one sound gives a list of one.

        Raises:
            TypeError: an input or an option of a kind that is not taken.
            ValueError: a sound that cannot be read.
            FileNotFoundError: a path that is not there.
        """
        found = self.predict_iter(inputs, batch_size=batch_size, progress=progress, **options)
        return [result for _, result in found]

    def predict_iter(
        self,
        inputs: SoundInput | Sequence[SoundInput] | Iterator[SoundInput],
        *,
        batch_size: int = 1,
        on_error: Literal["raise", "yield"] = "raise",
        progress: bool = False,
        **options: Any,
    ) -> Iterator[tuple[SoundInput, Any]]:
        """``predict`` one by one: for more sounds than fit into memory, and for broken ones.

        Args:
            inputs: as for ``predict``, or an iterator, asked for a batch at a time.
            batch_size, progress, options: as for ``predict``.
            on_error: ``"raise"``, or ``"yield"``: a sound that cannot be read yields its error in
                place of a result, and the others go on.

        Yields:
            ``(input, result)`` in order; with ``on_error="yield"`` also ``(input, error)``.

        Raises:
            TypeError, ValueError, FileNotFoundError: as ``predict``, when iterated.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if on_error not in ("raise", "yield"):
            raise ValueError(f"on_error must be 'raise' or 'yield', got {on_error!r}")
        takes = self.predict_options()
        for name in options:
            if name not in takes:
                raise TypeError(
                    f"predict of {type(self).__name__} does not take {name!r}: its options are "
                    f"{', '.join(takes)}"
                )
        return predict_each(
            self,
            sounds_of(inputs),
            lambda sound: self.as_wave(read_sound(sound)),
            lambda waves: self.postprocess(self(self.prepare(waves)), **options),
            batch_size=batch_size,
            on_error=on_error,
            progress=progress,
        )

    def as_wave(self, sound: Sound) -> Tensor:
        """``[N]`` at ``rate``, on the model's device and in its dtype."""
        like = next(self.parameters(), torch.empty(0))
        return sound.wave(self.rate).to(like.device).to(like.dtype)

    def predict_options(self) -> list[str]:
        """The names of the options that ``predict`` takes."""
        _, *parameters = inspect.signature(self.postprocess).parameters.values()
        own = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]
        return ["batch_size", "progress", *own]


def sounds_of(inputs: Any) -> Any:
    """One sound as a list; a list or an iterator of sounds as it is."""
    if isinstance(inputs, (list, Iterator)):
        return inputs
    is_sound = not isinstance(inputs, tuple) or (len(inputs) == 2 and isinstance(inputs[1], int))
    return [inputs] if is_sound else list(inputs)
