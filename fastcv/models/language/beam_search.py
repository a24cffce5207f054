"""Beam search for all pictures of a batch at once: one top-k a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

State = tuple[Tensor, ...]
Step = Callable[[Tensor, State], tuple[Tensor, State]]
"""From the last words ``[N]`` and a state ``[N, ...]`` to the next words' log-probabilities
``[N, V]`` and the next state. Rows of a picture lie together."""


class Sentences(NamedTuple):
    """Sentences of each picture, the best first.

    Args:
        ids: ``[B, K, T]`` int64; each ends in ``<end>``, with 0 behind it.
        scores: ``[B, K]``, log-probabilities, that of ``<end>`` counted; -inf where there is no
            sentence.
    """

    ids: Tensor
    scores: Tensor


def beam_search(
    step: Step, state: State, *, start: int, end: int, beam_size: int, max_words: int
) -> Sentences:
    """The most probable sentences that a beam finds.

    Each picture has ``beam_size`` unfinished sentences at most. A step extends each by every word
    and keeps the best. One that ends leaves the beam, which is narrower from then on. So a picture
    has ``beam_size`` sentences in the end, or fewer where there are no more.

    Args:
        step: what the model says of the next word.
        state: ``[B, ...]`` each, before ``<start>``.
        start: the id of ``<start>``.
        end: the id of ``<end>``.
        beam_size: sentences that are kept, 1 or more.
        max_words: a sentence of so many words can only end.

    Returns:
        Sentences with K = ``beam_size`` and T = ``max_words + 1``.

    Raises:
        ValueError: ``beam_size`` or ``max_words`` is under 1.

    Example:
        Three words, of which the last ends. Greedy takes 0, and then what follows is unsure.

        >>> import torch
        >>> from fastcv.models.language.beam_search import beam_search
        >>> table = torch.tensor([[0.4, 0.3, 0.3], [0.05, 0.05, 0.9], [0.55, 0.45, 0.0]]).log()
        >>> def step(words, state):
        ...     return table[words], state
        >>> for size in (1, 2):
        ...     found = beam_search(step, (torch.zeros(1),), start=2, end=2, beam_size=size,
        ...                         max_words=3)
        ...     print(found.ids[0, 0].tolist(), round(found.scores[0, 0].exp().item(), 3))
        [0, 0, 0, 2] 0.026
        [1, 2, 0, 0] 0.405
    """
    if beam_size < 1 or max_words < 1:
        raise ValueError(
            f"beam_size and max_words must be at least 1, got {beam_size} and {max_words}"
        )
    batch, device = len(state[0]), state[0].device
    ids = torch.full((batch, beam_size, 1), start, device=device)
    state = tuple(part.repeat_interleave(beam_size, dim=0) for part in state)
    # All rows of a picture are the same at first: one of them is enough.
    scores = torch.full((batch, beam_size), -torch.inf, device=device)
    scores[:, 0] = 0
    # A column more than needed takes what is written of rows that do not end.
    ended = torch.zeros(batch, beam_size + 1, max_words + 1, dtype=torch.int64, device=device)
    ended_scores = torch.full((batch, beam_size + 1), -torch.inf, device=device)
    count = torch.zeros(batch, 1, dtype=torch.int64, device=device)
    first_row = torch.arange(batch, device=device)[:, None] * beam_size
    place = torch.arange(beam_size, device=device)
    for length in range(1, max_words + 2):
        found, state = step(ids[:, :, -1].flatten(), state)
        found = found.float().nan_to_num(-torch.inf, posinf=-torch.inf, neginf=-torch.inf)
        if length > max_words:
            found = _only(found, end)
        size = found.shape[1]
        extended = scores[:, :, None] + found.view(batch, beam_size, size)
        scores, best = extended.flatten(1).topk(beam_size, dim=1)
        rows, words = torch.div(best, size, rounding_mode="floor"), best % size
        ids = torch.cat([ids.gather(1, rows[:, :, None].expand_as(ids)), words[:, :, None]], 2)
        # The beam is as wide as sentences are still missing.
        real = (place < beam_size - count) & (scores > -torch.inf)
        ends = real & (words == end)
        at = torch.where(ends, count + ends.cumsum(1) - 1, beam_size)
        ended_scores.scatter_(1, at, torch.where(ends, scores, -torch.inf))
        ended[:, :, :length].scatter_(1, at[:, :, None].expand(-1, -1, length), ids[:, :, 1:])
        count = count + ends.sum(1, keepdim=True)
        scores = scores.masked_fill(~real | ends, -torch.inf)
        if not bool((scores > -torch.inf).any()):
            break
        state = tuple(part[(first_row + rows).flatten()] for part in state)
    ended_scores, order = ended_scores[:, :-1].sort(dim=1, descending=True, stable=True)
    return Sentences(ended.gather(1, order[:, :, None].expand_as(ended[:, :-1])), ended_scores)


def one_sentence(
    step: Step,
    state: State,
    choose: Callable[[Tensor, int], Tensor],
    *,
    start: int,
    end: int,
    max_words: int,
) -> Sentences:
    """A sentence for each picture, word by word.

    Args:
        step, state, start, end, max_words: as of ``beam_search``.
        choose: the next words ``[B]`` of log-probabilities ``[B, V]`` and the number of the step,
            from 0.

    Returns:
        Sentences with K = 1 and T = ``max_words + 1``.

    Raises:
        ValueError: ``max_words`` is under 1.
    """
    if max_words < 1:
        raise ValueError(f"max_words must be at least 1, got {max_words}")
    batch, device = len(state[0]), state[0].device
    words = torch.full((batch,), start, device=device)
    ids = torch.zeros(batch, max_words + 1, dtype=torch.int64, device=device)
    scores = torch.zeros(batch, device=device)
    going = torch.ones(batch, dtype=torch.bool, device=device)
    for length in range(max_words + 1):
        found, state = step(words, state)
        words = choose(found, length)
        if length == max_words:
            words = torch.full_like(words, end)
        ids[:, length] = torch.where(going, words, 0)
        score = found.float().gather(1, words[:, None])[:, 0]
        scores = torch.where(going, scores + score, scores)
        going = going & (words != end)
        if not bool(going.any()):
            break
    return Sentences(ids[:, None], scores[:, None])


def _only(log_probs: Tensor, word: int) -> Tensor:
    kept = torch.full_like(log_probs, -torch.inf)
    kept[:, word] = log_probs[:, word]
    return kept
