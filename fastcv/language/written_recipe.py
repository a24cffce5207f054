"""A recipe as text: what goes in, and what is done, step by step."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class WrittenRecipe:
    """What is needed, and how it is done.

    Args:
        ingredients: one or more, such as ``("flour", "olive oil")``.
        instructions: a sentence for each step.
        vectors: of the instructions ``[N, D]`` floating point, where they were computed beforehand;
            then ``instructions`` may be empty.

    Raises:
        TypeError: one text in place of several, or what is no text.
        ValueError: no ingredient, an empty text, neither instructions nor vectors, or not one
            vector for each instruction.

    Example:
        >>> from fastcv.language import WrittenRecipe
        >>> toast = WrittenRecipe(("bread", "butter"), ("Toast the bread.", "Butter it."))
        >>> len(toast)
        2
    """

    ingredients: tuple[str, ...]
    instructions: tuple[str, ...] = ()
    vectors: Tensor | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("ingredients", "instructions"):
            texts = getattr(self, name)
            if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
                raise TypeError(f"{name} must be several texts, such as ('a', 'b'), got {texts!r}")
            object.__setattr__(self, name, tuple(texts))
            if empty := [i for i, text in enumerate(texts) if not text.strip()]:
                raise ValueError(f"{name} must not be empty texts, number {empty[0]} is")
        if not self.ingredients:
            raise ValueError("ingredients must be one or more, this recipe has none")
        if self.vectors is None and not self.instructions:
            raise ValueError("instructions must be one or more, this recipe has none")
        if self.vectors is not None:
            self._check_vectors(self.vectors)

    def _check_vectors(self, vectors: Tensor) -> None:
        if vectors.dim() != 2 or not len(vectors) or not vectors.is_floating_point():
            raise ValueError(
                "vectors must be floating point of shape [N, D], N 1 or more, got "
                f"{vectors.dtype} {list(vectors.shape)}"
            )
        if self.instructions and len(vectors) != len(self.instructions):
            raise ValueError(
                f"vectors must be one for each instruction: {len(self.instructions)} "
                f"instructions, and {len(vectors)} vectors"
            )

    @classmethod
    def from_json(cls, text: str) -> WrittenRecipe:
        """A recipe of one JSON object, such as a line of a file.

        Raises:
            ValueError: it is something else, or no whole recipe.

        Example:
            >>> from fastcv.language import WrittenRecipe
            >>> line = '{"ingredients": ["bread", "butter"], "instructions": ["Toast it."]}'
            >>> WrittenRecipe.from_json(line)
            WrittenRecipe(ingredients=('bread', 'butter'), instructions=('Toast it.',))
        """
        try:
            parts = json.loads(text)
            ingredients, instructions = parts["ingredients"], parts["instructions"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                'a recipe must be JSON as {"ingredients": ["a", ...], "instructions": ["b", ...]}, '
                f"got {text[:40]!r}"
            ) from None
        for name, texts in (("ingredients", ingredients), ("instructions", instructions)):
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                raise ValueError(f"{name} of a recipe must be a list of texts, got {texts!r:.40}")
        return cls(tuple(ingredients), tuple(instructions))

    def to(self, device: torch.device | str) -> WrittenRecipe:
        """The same with its vectors on a device; ``fit`` calls it."""
        return self if self.vectors is None else replace(self, vectors=self.vectors.to(device))

    def __len__(self) -> int:
        """How many instructions it has."""
        return len(self.instructions) if self.vectors is None else len(self.vectors)
