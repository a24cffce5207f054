"""Skip-instructions: an instruction as a vector from which its neighbours can be told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence
from torch.utils.data import Dataset

from fastcv.language.tokenizer import tokenize
from fastcv.language.vocabulary import END, PAD, START, UNKNOWN, Vocabulary, pad_texts
from fastcv.models._mode import evaluating
from fastcv.models._model import Model

Texts = tuple[Tensor, Tensor]
"""Ids ``[B, T]`` and lengths ``[B]``."""
NEIGHBOURS = ("previous", "next")
MAX_WORDS = 1000  # of an instruction


class InstructionEncoder(nn.Module):
    """Words to vectors, and an LSTM whose last state is the code of an instruction.

    Args:
        words: of the vocabulary, without the four special ones.
        vector_size: numbers of a code.
        word_size: numbers of a word's vector.

    Example:
        >>> import torch
        >>> from fastcv.models.language.skip_instructions import InstructionEncoder
        >>> encoder = InstructionEncoder(("boil", "water", "add", "salt"), vector_size=8)
        >>> encoder.encode(["boil water", "add salt"]).shape
        torch.Size([2, 8])
    """

    def __init__(
        self, words: Sequence[str], *, vector_size: int = 1024, word_size: int = 300
    ) -> None:
        super().__init__()
        self.vocabulary = Vocabulary(words)
        pad = self.vocabulary.id_of(PAD)
        self.embedding = nn.Embedding(len(self.vocabulary), word_size, padding_idx=pad)
        self.lstm = nn.LSTM(word_size, vector_size, batch_first=True)

    def forward(self, texts: Texts) -> Tensor:
        """Codes ``[B, D]`` of instructions ``(ids [B, T], lengths [B])``."""
        return last_states(self.lstm, self.embedding(texts[0]), texts[1])

    def encode(self, instructions: Sequence[str], batch_size: int = 256) -> Tensor:
        """Codes ``[N, D]`` of instructions, in eval mode and without gradients.

        Args:
            instructions: one or more; a word that is not known is ``<unk>``.
            batch_size: how many at a time.

        Raises:
            TypeError: one text in place of several.
            ValueError: there is none, one is empty, or no word of all is known.
        """
        ids = instruction_ids(self.vocabulary, instructions)
        device = self.embedding.weight.device
        with evaluating(self), torch.no_grad():
            parts = [pad_texts(ids[i : i + batch_size]) for i in range(0, len(ids), batch_size)]
            return torch.cat([self((texts.to(device), lengths)) for texts, lengths in parts])


class SkipInstructions(Model):
    """An LSTM that encodes an instruction, and two that write its neighbours from the code.

    Each decoder gets the code at every step beside the word before, and is asked for the next word.
    Before the first instruction of a recipe stands one that is ``<start>`` alone, behind the last
    one that is ``<end>`` alone. Once it is trained, its ``encoder`` is what is of use.

    Args:
        words, vector_size, word_size: as of ``InstructionEncoder``.

    Source: Salvador et al., "Learning Cross-modal Embeddings for Cooking Recipes and Food Images"
        (2017), section 3.1; Kiros et al., "Skip-Thought Vectors" (2015), whose GRU it replaces.

    Example:
        >>> from fastcv.models.language.skip_instructions import (
        ...     InstructionNeighbours, SkipInstructions)
        >>> model = SkipInstructions(words=("boil", "water", "add", "salt"), vector_size=8)
        >>> data = InstructionNeighbours(model.vocabulary, [["boil water", "add salt"]])
        >>> texts, neighbours = data.collate([data[0], data[1]])
        >>> list(model.loss(model(texts), neighbours))
        ['previous', 'next']
    """

    def __init__(
        self, *, words: Sequence[str] = (), vector_size: int = 1024, word_size: int = 300
    ) -> None:
        super().__init__()
        self.encoder = InstructionEncoder(words, vector_size=vector_size, word_size=word_size)
        self.vocabulary = self.encoder.vocabulary
        self.decoders = nn.ModuleDict(
            {
                name: nn.LSTM(word_size + vector_size, vector_size, batch_first=True)
                for name in NEIGHBOURS
            }
        )
        self.word = nn.Linear(vector_size, len(self.vocabulary))

    def forward(self, texts: Texts) -> Tensor:
        """Codes ``[B, D]`` of instructions ``(ids [B, T], lengths [B])``."""
        return self.encoder(texts)

    def loss(self, output: Tensor, targets: dict[str, Texts]) -> dict[str, Tensor]:
        """The mean cross-entropy of a word of each neighbour, ``previous`` and ``next``.

        Args:
            output: codes ``[B, D]``.
            targets: by neighbour its ids ``[B, T]`` with ``<start>`` and ``<end>``, and lengths.

        Raises:
            TypeError: targets that are no dict of the two neighbours.
        """
        if not isinstance(targets, dict) or set(targets) != set(NEIGHBOURS):
            raise TypeError(
                f"targets must be a dict of {' and '.join(NEIGHBOURS)}, got {str(targets)[:40]}"
            )
        pad = self.vocabulary.id_of(PAD)
        terms = {}
        for name, (ids, _) in targets.items():
            before, after = ids[:, :-1], ids[:, 1:]
            told = output[:, None].expand(-1, before.shape[1], -1)
            words = self.encoder.embedding(before)
            states, _ = self.decoders[name](torch.cat([words, told], dim=2))
            logits = self.word(states)
            terms[name] = F.cross_entropy(logits.flatten(0, 1), after.flatten(), ignore_index=pad)
        return terms


def instruction_ids(vocabulary: Vocabulary, instructions: Sequence[str]) -> list[Tensor]:
    """Ids ``[T_i]`` of each instruction; one without any known word is ``<unk>`` alone.

    Raises:
        TypeError: one text in place of several.
        ValueError: there is none, one is empty, or no word of all is known.
    """
    if isinstance(instructions, str):
        raise TypeError(f"instructions must be several texts, got one: {instructions[:40]!r}")
    if not instructions:
        raise ValueError("instructions must be one or more, got none")
    found = []
    known = False
    for number, text in enumerate(instructions):
        words = tokenize(text)
        if not words:
            raise ValueError(f"instructions must have words, number {number} is {text[:40]!r}")
        if any(word in vocabulary for word in words[:MAX_WORDS]):
            found.append(vocabulary.encode(text, max_words=MAX_WORDS))
            known = True
        else:
            found.append(torch.tensor([vocabulary.id_of(UNKNOWN)]))
    if not known:
        raise ValueError(
            f"instructions must have a word that is known, and none of these {len(found)} has one "
            f"among the {len(vocabulary)} of the vocabulary"
        )
    return found


def last_states(lstm: nn.LSTM, inputs: Tensor, lengths: Tensor) -> Tensor:
    """The last state of an LSTM at the end of each sequence; of both directions, side by side.

    Args:
        lstm: ``batch_first``, one layer.
        inputs: ``[B, T, D]``.
        lengths: ``[B]``, 1 to T.

    Returns:
        ``[B, H]``, or ``[B, 2 H]``: forward at the end, backward at the beginning.
    """
    packed = pack_padded_sequence(inputs, lengths.cpu(), batch_first=True, enforce_sorted=False)
    _, (hidden, _) = lstm(packed)
    return hidden.transpose(0, 1).flatten(1)


class Neighbours(NamedTuple):
    """Ids ``[T]`` of an instruction and of the two beside it, which have their ends."""

    instruction: Tensor
    previous: Tensor
    next: Tensor


class InstructionNeighbours(Dataset[Neighbours]):
    """Each instruction of recipes with the one before and the one behind it.

    Args:
        vocabulary: of the instructions' words.
        recipes: the instructions of each.

    Raises:
        ValueError: a recipe has no instruction, or none with a known word.

    Example:
        >>> from fastcv.language import Vocabulary
        >>> from fastcv.models.language.skip_instructions import InstructionNeighbours
        >>> words = Vocabulary(["boil", "water", "add", "salt"])
        >>> item = InstructionNeighbours(words, [["boil water", "add salt"]])[0]
        >>> words.words[item.previous[1]], words.decode(item.next)
        ('<start>', 'add salt')
    """

    def __init__(self, vocabulary: Vocabulary, recipes: Iterable[Sequence[str]]) -> None:
        first, last = (torch.tensor([vocabulary.id_of(word)]) for word in (START, END))
        self.items = []
        for instructions in recipes:
            texts = [first, *instruction_ids(vocabulary, instructions), last]
            ended = [torch.cat([first, text, last]) for text in texts]
            self.items += [
                Neighbours(texts[i], ended[i - 1], ended[i + 1]) for i in range(1, len(texts) - 1)
            ]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Neighbours:
        return self.items[index]

    @staticmethod
    def collate(batch: Sequence[Neighbours]) -> tuple[Texts, dict[str, Texts]]:
        """What ``forward`` and ``loss`` of ``SkipInstructions`` take."""
        instructions, previous, following = zip(*batch, strict=True)
        neighbours: dict[str, Any] = {"previous": pad_texts(previous), "next": pad_texts(following)}
        return pad_texts(instructions), neighbours
