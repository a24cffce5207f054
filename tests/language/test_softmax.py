"""Skip-gram and CBOW with a full softmax."""

import pytest
import torch
from torch.nn import functional as F

from fastcv.data.planted_words import planted_questions, planted_sentences
from fastcv.language.negative_sampling import Corpus
from fastcv.language.softmax import CBOW, SkipGram, train_softmax, words_around
from fastcv.metrics import evaluate_analogies


def random_model(kind, words=7, dim=4):
    torch.manual_seed(0)
    model = kind(words, dim).double()
    torch.nn.init.normal_(model.output)
    return model


def test_a_row_is_a_one_hot_vector_times_w():
    """To the last bit."""
    w = SkipGram(50, 100).input.detach()
    one_hot = F.one_hot(torch.arange(50), 50).float()
    assert torch.equal(one_hot @ w, w)
    assert torch.equal(one_hot[7] @ w, w[7])


def test_gradient_of_the_full_softmax():
    """Closed form: of a score it is probability - target; by the chain rule the rest."""
    model = random_model(SkipGram)
    centre, near = 2, 5
    model.loss(torch.tensor([centre]), torch.tensor([[near]])).backward()
    w, w_ = model.input.detach(), model.output.detach()
    wrong = (w_ @ w[centre]).softmax(0)
    wrong[near] -= 1
    torch.testing.assert_close(model.output.grad, wrong[:, None] * w[centre])
    of_input = torch.zeros_like(w)
    of_input[centre] = w_.T @ wrong
    torch.testing.assert_close(model.input.grad, of_input)


def test_gradient_of_cbow():
    """Each word around gets an equal part."""
    model = random_model(CBOW)
    around, centre = torch.tensor([[1, 3, -1, 3]]), 0
    model.loss(torch.tensor([centre]), around).backward()
    w, w_ = model.input.detach(), model.output.detach()
    mean = (w[1] + w[3] + w[3]) / 3
    wrong = (w_ @ mean).softmax(0)
    wrong[centre] -= 1
    torch.testing.assert_close(model.output.grad, wrong[:, None] * mean)
    torch.testing.assert_close(model.input.grad[1], w_.T @ wrong / 3)
    torch.testing.assert_close(model.input.grad[3], 2 * w_.T @ wrong / 3)
    assert (model.input.grad[[0, 2, 4, 5, 6]] == 0).all()


def test_losses_are_means_over_words():
    centres, around = torch.tensor([0, 1, 2]), torch.tensor([[1, 2], [3, -1], [-1, -1]])
    skip, cbow = random_model(SkipGram), random_model(CBOW)
    pairs = [(0, 1), (0, 2), (1, 3)]
    logs = [skip(torch.tensor([a])).log_softmax(1)[0, b] for a, b in pairs]
    torch.testing.assert_close(skip.loss(centres, around), -sum(logs) / 3)
    logs = [cbow(around[i : i + 1]).log_softmax(1)[0, i] for i in range(2)]
    torch.testing.assert_close(cbow.loss(centres, around), -sum(logs) / 2)


@pytest.mark.parametrize("window", [1, 2, 5])
def test_words_around(window):
    g = torch.Generator().manual_seed(0)
    ids = torch.randint(-1, 4, (60,), generator=g)
    rows, sentence = [], []
    for i in [*ids.tolist(), -1]:
        if i >= 0:
            sentence.append(i)
            continue
        wide = [-1] * window + sentence + [-1] * window
        for j, word in enumerate(sentence):
            rows.append((word, wide[j : j + window] + wide[j + window + 1 : j + 2 * window + 1]))
        sentence = []
    centres, around = words_around(ids, window)
    assert list(zip(centres.tolist(), around.tolist(), strict=True)) == rows


@pytest.mark.parametrize("kind", [SkipGram, CBOW])
def test_they_find_relations_too(kind):
    corpus = Corpus.of(planted_sentences(4000))
    torch.manual_seed(0)
    model = kind(len(corpus.words), 24)
    vectors = train_softmax(model, corpus, window=3, epochs=4, lr=0.02)
    assert vectors.words == corpus.words
    assert evaluate_analogies(vectors, planted_questions())["all"] > 0.8
