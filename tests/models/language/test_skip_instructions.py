"""Skip-instructions: what stands beside an instruction, the loss by hand, and codes that tell."""

import math
from itertools import pairwise

import pytest
import torch
from torch.utils.data import DataLoader

from fastcv.language import Vocabulary
from fastcv.models.language.skip_instructions import (
    InstructionEncoder,
    InstructionNeighbours,
    SkipInstructions,
)

WORDS = ("boil", "water", "add", "salt", "serve", "it")
SOUP = ["Boil water", "add salt", "serve it"]


def small():
    torch.manual_seed(0)
    return SkipInstructions(words=WORDS, vector_size=6, word_size=4)


def test_sizes():
    model = SkipInstructions(words=WORDS)
    assert model.encoder.lstm.input_size == 300 and model.encoder.lstm.hidden_size == 1024
    for decoder in model.decoders.values():
        assert (decoder.input_size, decoder.hidden_size) == (300 + 1024, 1024)
    assert model.word.weight.shape == (len(WORDS) + 4, 1024)


def test_neighbours():
    vocabulary = Vocabulary(WORDS)
    data = InstructionNeighbours(vocabulary, [SOUP, ["serve it"]])

    def words(ids):
        return " ".join(vocabulary.words[i] for i in ids)

    told = [tuple(map(words, item)) for item in data]
    assert told == [
        ("boil water", "<start> <start> <end>", "<start> add salt <end>"),
        ("add salt", "<start> boil water <end>", "<start> serve it <end>"),
        ("serve it", "<start> add salt <end>", "<start> <end> <end>"),
        ("serve it", "<start> <start> <end>", "<start> <end> <end>"),
    ]
    (ids, lengths), neighbours = data.collate([data[0], data[2]])
    assert ids.shape == (2, 2) and lengths.tolist() == [2, 2]
    assert list(neighbours) == ["previous", "next"]
    assert neighbours["previous"][1].tolist() == [3, 4]
    assert neighbours["previous"][0][0, 3] == vocabulary.id_of("<pad>")


def decoded_by_hand(model, decoder, code, words):
    """The mean of -log p of each word behind the one before, a step at a time."""
    h = c = torch.zeros(6)
    total = 0.0
    for before, after in pairwise(words):
        x = torch.cat([model.encoder.embedding.weight[before], code])
        gates = decoder.weight_ih_l0 @ x + decoder.bias_ih_l0
        i, f, g, o = (gates + decoder.weight_hh_l0 @ h + decoder.bias_hh_l0).chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        logits = (model.word.weight @ h + model.word.bias).tolist()
        total += math.log(sum(math.exp(x) for x in logits)) - logits[after]
    return total, len(words) - 1


def test_loss_by_hand():
    model = small()
    data = InstructionNeighbours(model.vocabulary, [SOUP])
    items = [data[i] for i in range(3)]
    texts, neighbours = data.collate(items)
    codes = model(texts)
    found = model.loss(codes, neighbours)
    with torch.no_grad():
        for name in ("previous", "next"):
            parts = [
                decoded_by_hand(model, model.decoders[name], code, getattr(item, name).tolist())
                for code, item in zip(codes, items, strict=True)
            ]
            expected = sum(total for total, _ in parts) / sum(words for _, words in parts)
            assert found[name].item() == pytest.approx(expected, abs=1e-5)
    sum(found.values()).backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_codes_do_not_depend_on_the_batch():
    encoder = small().encoder.train()
    whole = encoder.encode(SOUP)
    assert encoder.training and not whole.requires_grad
    torch.testing.assert_close(encoder.encode(SOUP, batch_size=2), whole)
    torch.testing.assert_close(encoder.encode([SOUP[1]])[0], whole[1])


def test_it_learns_what_comes_next():
    """Of two recipes with the same middle but for one word: from the code the next is told."""
    torch.manual_seed(0)
    model = SkipInstructions(words=WORDS, vector_size=24, word_size=8)
    recipes = [["boil water", "add salt", "serve it"], ["boil it", "add water", "serve salt"]]
    data = InstructionNeighbours(model.vocabulary, recipes)
    loader = DataLoader(data, batch_size=6, collate_fn=data.collate)
    adam = torch.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(80):
        for texts, neighbours in loader:
            loss = sum(model.loss(model(texts), neighbours).values())
            adam.zero_grad()
            loss.backward()
            adam.step()
    assert loss < 0.1


def test_bad_texts():
    encoder = InstructionEncoder(WORDS, vector_size=6, word_size=4)
    for wrong, kind, words in (
        ([], ValueError, "instructions must be one or more, got none"),
        (["boil", " "], ValueError, "instructions must have words, number 1 is ' '"),
        (["xyz", "소금"], ValueError, "none of these 2 has one among the 10"),
        ("boil water", TypeError, "several texts, got one: 'boil water'"),
    ):
        with pytest.raises(kind, match=words) as error:
            encoder.encode(wrong)
        assert "\n" not in str(error.value) and not str(error.value).endswith(".")
    assert encoder.encode(["boil", "xyz 소금"]).isfinite().all()  # one alone may be unknown
    with pytest.warns(UserWarning, match="10000 words was cut to its first 1000"):
        encoder.encode(["boil " * 10_000])
    model = small()
    for wrong in (None, [], {"next": None}):
        with pytest.raises(TypeError, match="targets must be a dict of previous and next"):
            model.loss(torch.zeros(1, 6), wrong)
