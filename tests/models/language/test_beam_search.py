"""Beam search against every sentence there is, a beam of lists, and greedy."""

import itertools
import math

import pytest
import torch

from fastcv.models.language.beam_search import beam_search, one_sentence

START, END, WORDS = 1, 2, 5


def recurrent(seed, batch, words=WORDS, sharp=2.0):
    """A small recurrent net whose state matters, and its first state."""
    random = torch.Generator().manual_seed(seed)
    embedding, out = (torch.randn(words, 6, generator=random) for _ in range(2))
    across = torch.randn(6, 6, generator=random) / 2

    def step(last, state):
        hidden = (state[0] @ across + embedding[last]).tanh()
        found = (sharp * hidden @ out.T).log_softmax(dim=1)
        found[:, :2] = -torch.inf  # <pad> and <start>
        return found, (hidden,)

    return step, (torch.randn(batch, 6, generator=random),)


def score(step, state, sentence):
    total, last = 0.0, torch.tensor([START])
    for word in sentence:
        found, state = step(last, state)
        total += float(found[0, word])
        last = torch.tensor([word])
    return total


def every_sentence(step, state, max_words, words=WORDS):
    """All that end within so many words, the best first."""
    inner = [w for w in range(words) if w > END]
    sentences = [
        (*some, END)
        for length in range(max_words + 1)
        for some in itertools.product(inner, repeat=length)
    ]
    return sorted(((score(step, state, s), s) for s in sentences), reverse=True)


def beam_of_lists(step, state, size, max_words):
    """One picture, sentence by sentence: what ends leaves the beam, which narrows."""
    live, done = [(0.0, (), state, START)], []
    for length in range(1, max_words + 2):
        candidates = []
        for so_far, sentence, state, last in live:
            found, after = step(torch.tensor([last]), state)
            for word in range(found.shape[1]):
                if math.isfinite(float(found[0, word])) and (length <= max_words or word == END):
                    candidates.append(
                        (so_far + float(found[0, word]), (*sentence, word), after, word)
                    )
        candidates.sort(key=lambda c: -c[0])
        live = []
        for candidate in candidates[: size - len(done)]:
            (done if candidate[3] == END else live).append(candidate)
        if not live:
            break
    return sorted(((s, sentence) for s, sentence, _, _ in done), reverse=True)


def search(step, state, size, max_words=4):
    return beam_search(step, state, start=START, end=END, beam_size=size, max_words=max_words)


def greedy(step, state, max_words=4):
    return one_sentence(
        step, state, lambda found, _: found.argmax(1), start=START, end=END, max_words=max_words
    )


def sentence_of(ids):
    words = ids.tolist()
    assert END in words and not any(words[words.index(END) + 1 :])
    return tuple(words[: words.index(END) + 1])


@pytest.mark.parametrize("seed", range(6))
def test_a_wide_beam_finds_every_sentence(seed):
    """Words 3 and 4, up to 3 of them: 15 sentences, all of which fit into the beam."""
    step, state = recurrent(seed, 1)
    expected = every_sentence(step, state, 3)
    found = search(step, state, 16, max_words=3)
    assert len(expected) == 15
    for (log_prob, sentence), ids, value in zip(
        expected, found.ids[0], found.scores[0], strict=False
    ):
        assert sentence_of(ids) == sentence
        assert value.item() == pytest.approx(log_prob, abs=1e-5)
    assert found.scores[0, 15] == -torch.inf and not found.ids[0, 15].any()


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("seed", range(4))
def test_a_batch_is_as_lists_of_one_picture(seed, size):
    """Equal sentences and scores, whatever other pictures there are."""
    step, (state,) = recurrent(seed, 5, words=9)
    found = search(step, (state,), size, max_words=6)
    assert found.ids.shape == (5, size, 7) and found.ids.dtype == torch.int64
    for picture in range(5):
        expected = beam_of_lists(step, (state[picture : picture + 1],), size, 6)
        alone = search(step, (state[picture : picture + 1],), size, max_words=6)
        assert torch.equal(alone.ids[0], found.ids[picture])
        assert len(expected) == int((found.scores[picture] > -torch.inf).sum())
        for (log_prob, sentence), ids, value in zip(
            expected, found.ids[picture], found.scores[picture], strict=False
        ):
            assert sentence_of(ids) == sentence
            assert value.item() == pytest.approx(log_prob, abs=1e-5)


@pytest.mark.parametrize("seed", range(6))
def test_a_beam_of_one_is_greedy(seed):
    step, state = recurrent(seed, 7, words=9)
    one, other = search(step, state, 1, 6), greedy(step, state, 6)
    assert torch.equal(one.ids, other.ids)
    torch.testing.assert_close(one.scores, other.scores)


def test_a_beam_is_never_worse_than_greedy_here_and_better_once():
    """It may be worse in general; of these it is not."""
    gains = []
    for seed in range(10):
        step, state = recurrent(seed, 1, words=9)
        wide = search(step, state, 30, 5).scores[0, 0]
        gains.append(float(wide - greedy(step, state, 5).scores[0, 0]))
    assert min(gains) > -1e-5 and max(gains) > 0.1


def test_rows_are_found_by_whole_division():
    """Of 70,000 words and 300 rows, a place in the flat list is above 2 ** 24: no float has it."""
    words = 70_000
    table = torch.full((words,), -30.0)
    table[12_345], table[END] = -1.0, -2.0

    def step(last, state):
        return table.expand(len(last), -1), state

    found = search(step, (torch.zeros(1, 1),), 300, max_words=2)
    assert sentence_of(found.ids[0, 0]) == (END,)
    assert sentence_of(found.ids[0, 1]) == (12_345, END)
    assert sentence_of(found.ids[0, 2]) == (12_345, 12_345, END)
    assert found.scores[0, :3].tolist() == [-2.0, -3.0, -4.0]


def test_nothing_is_found_of_a_model_that_diverged():
    def step(last, state):
        return torch.full((len(last), WORDS), torch.nan), state

    found = search(step, (torch.zeros(2, 1),), 2)
    assert found.scores.isneginf().all() and not found.ids.any()


def test_numbers_under_one():
    step, state = recurrent(0, 1)
    for numbers in ({"size": 0}, {"size": 2, "max_words": 0}):
        with pytest.raises(ValueError, match="beam_size and max_words must be at least 1, got"):
            search(step, state, **numbers)
    with pytest.raises(ValueError, match="max_words must be at least 1, got 0"):
        greedy(step, state, 0)
