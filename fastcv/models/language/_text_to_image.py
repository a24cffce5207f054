"""What every model shares that makes pictures of sentences."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from fastcv.language import Vocabulary
from fastcv.models.generative._generator import LatentModel
from fastcv.models.language._mean_of_words import MeanOfWords
from fastcv.results import Generated


class TextToImage(LatentModel):
    """A model with ``forward(latents, vectors)``, from random numbers ``[B, Z]`` and the vectors
    ``[B, D]`` of sentences to pictures ``[B, 3, H, W]`` in [-1, 1].

    A sentence is a string, whose vector ``encoder`` makes; or a vector that another network made.

    Args:
        words: those that the model knows, without the four special ones of ``Vocabulary``. Without
            words it takes vectors alone.
        text_size: D.
    """

    def __init__(self, words: Sequence[str], text_size: int) -> None:
        super().__init__()
        self.text_size = text_size
        self.encoder = MeanOfWords(words, text_size)

    @property
    def vocabulary(self) -> Vocabulary:
        """The words that the model knows."""
        return self.encoder.vocabulary

    def embed(self, texts: str | Sequence[str] | Tensor) -> Tensor:
        """The vectors ``[N, D]`` of sentences; vectors stay what they are.

        Raises:
            TypeError: neither sentences nor vectors.
            ValueError: there is none; a sentence is empty or has no word that is known; or vectors
                are of another shape.
        """
        if isinstance(texts, Tensor):
            return self._checked(texts)
        sentences = [texts] if isinstance(texts, str) else list(texts)
        for text in sentences:
            if not isinstance(text, str):
                raise TypeError(f"texts must be strings, or a tensor, got {type(text).__name__}")
        if self.encoder.is_empty:
            raise ValueError(
                f"texts must be vectors [N, {self.text_size}]: this model was made without words"
            )
        return self.encoder(sentences)

    def _checked(self, vectors: Tensor) -> Tensor:
        # Not len(): an exporter would take it for a constant.
        if vectors.ndim != 2 or vectors.shape[1] != self.text_size or vectors.shape[0] == 0:
            raise ValueError(
                f"texts must be vectors [N, {self.text_size}], got {list(vectors.shape)}"
            )
        if not vectors.is_floating_point():
            raise ValueError(f"texts must be floating point vectors, got {vectors.dtype}")
        return vectors.to(self.encoder.vectors)

    def example_inputs(self) -> dict[str, Tensor]:
        inputs = super().example_inputs()
        return {**inputs, "vectors": torch.ones(2, self.text_size).to(inputs["latents"])}

    def sample(
        self,
        texts: str | Sequence[str] | Tensor,
        n: int = 8,
        *,
        seed: int = 0,
        batch_size: int = 8,
    ) -> Generated:
        """Pictures of sentences, several of each.

        Picture k of each sentence is made of the same random numbers. Runs in eval mode without
        gradients; the training flags are put back.

        Args:
            texts: a sentence, several, or vectors ``[N, D]``. Words that the model does not know
                are passed over.
            n: pictures of each.
            seed: of the random numbers.
            batch_size: pictures at a time.

        Returns:
            The pictures of the first sentence, then those of the second, and so on.

        Raises:
            TypeError: ``texts`` are neither sentences nor vectors.
            ValueError: ``n`` or ``batch_size`` is under 1, or what ``embed`` refuses.
        """
        vectors = self.embed(texts)
        latents = self.latents(n, seed=seed)
        made = self.make(
            latents.repeat(len(vectors), 1),
            vectors.repeat_interleave(n, dim=0),
            batch_size=batch_size,
        )
        sentences = [texts] if isinstance(texts, str) else texts
        if isinstance(sentences, Tensor):
            return Generated(made, seed)
        return Generated(made, seed, texts=tuple(text for text in sentences for _ in range(n)))
