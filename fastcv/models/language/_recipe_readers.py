"""What reads a recipe: an LSTM over its instructions, and one over its ingredients."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fastcv.language.tokenizer import tokenize
from fastcv.language.vocabulary import END, PAD, Vocabulary
from fastcv.language.written_recipe import WrittenRecipe
from fastcv.models.language.skip_instructions import last_states

MAX_LENGTH = 20  # of ingredients with the end of the list, and of instructions


class RecipeBatch(NamedTuple):
    """Recipes as the encoders take them.

    Args:
        vectors: of instructions, ``[B, N, D]``, zeros behind the end of each.
        instructions: ``[B]`` int64 on the CPU, how many there are.
        ingredients: ids ``[B, T]``, padded.
        ingredient_counts: ``[B]`` int64 on the CPU, with the end of each list.
    """

    vectors: Tensor
    instructions: Tensor
    ingredients: Tensor
    ingredient_counts: Tensor


class InstructionReader(nn.Module):
    """An LSTM over the vectors of a recipe's instructions."""

    def __init__(self, vector_size: int, hidden_size: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(vector_size, hidden_size, batch_first=True)

    def forward(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """``[B, H]`` of ``[B, N, D]``: the state after the last instruction."""
        return last_states(self.lstm, vectors, lengths)


class IngredientReader(nn.Module):
    """A word's vector for each ingredient, and an LSTM over them from both ends."""

    def __init__(self, vocabulary: Vocabulary, size: int) -> None:
        super().__init__()
        self.irnn = nn.LSTM(size, size, batch_first=True, bidirectional=True)
        self.embs = nn.Embedding(len(vocabulary), size, padding_idx=vocabulary.id_of(PAD))

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """``[B, 2 D]`` of ids ``[B, T]``: the last state of each direction."""
        return last_states(self.irnn, self.embs(ids), lengths)


def as_recipe(text: Any) -> WrittenRecipe:
    """A recipe, whether it came as one or as JSON.

    Raises:
        TypeError: it is neither.
        ValueError: a string that is no recipe's JSON.
    """
    if isinstance(text, str):
        return WrittenRecipe.from_json(text)
    if not isinstance(text, WrittenRecipe):
        raise TypeError(f"a recipe must be a WrittenRecipe or JSON, got {type(text).__name__}")
    return text


def ingredient_ids(vocabulary: Vocabulary, recipe: WrittenRecipe) -> Tensor:
    """Ids ``[T]`` of a recipe's ingredients, each once, with ``<end>`` behind.

    Raises:
        ValueError: none is known.
    """
    ids: dict[int, None] = {}
    for ingredient in recipe.ingredients:
        parts = tokenize(ingredient)
        whole = "_".join(part for part in parts if part != "_")
        ids |= dict.fromkeys(
            vocabulary.id_of(word)
            for word in ([whole] if whole in vocabulary else parts)
            if word in vocabulary
        )
    if not ids:
        text = ", ".join(recipe.ingredients)
        shown = repr(text if len(text) <= 40 else text[:39] + "…")
        raise ValueError(
            f"ingredients must have one that is known, and none of {shown} is among the "
            f"{len(vocabulary)} words of the vocabulary"
        )
    return torch.tensor([*cut(list(ids), MAX_LENGTH - 1, "ingredients"), vocabulary.id_of(END)])


def cut(items: Any, length: int, name: str) -> Any:
    """The first of a list or the first rows, with a warning where there are more."""
    if len(items) > length:
        warnings.warn(
            f"a recipe of {len(items)} {name} was cut to its first {length}", stacklevel=4
        )
    return items[:length]
