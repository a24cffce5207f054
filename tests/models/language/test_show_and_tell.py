"""Show and Tell: the picture once, at step -1; a loss by hand; words one by one."""

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

import fastcv
from fastcv.language import pad_texts
from fastcv.learn import caption_batches, fit

TEXTS = ["a cat on a mat", "the dog sits", "a dog"]
WORDS = ("a", "cat", "on", "mat", "the", "dog", "sits")


def small(**config):
    torch.manual_seed(0)
    options = {"words": WORDS, "size": 32, "width": 4, "embedding": 6, "hidden": 5, **config}
    return fastcv.create_model("show_and_tell_resnet18", **options)


def batch(model, texts=TEXTS):
    return pad_texts([model.vocabulary.encode(text, ends=True) for text in texts])


def count(module):
    return sum(p.numel() for p in module.parameters())


def test_the_size_of_the_paper():
    with torch.device("meta"):
        model = fastcv.create_model("show_and_tell", words=[f"w{i}" for i in range(8)])
    assert model.project.weight.shape == (512, 1024)
    assert count(model.lstm) == 4 * 512 * (512 + 512) + 2 * 4 * 512
    assert count(model.embedding) == 12 * 512 and count(model.fc) == 12 * 513
    # torchvision's GoogLeNet has 6,624,904 without its auxiliary classifiers, 1,025,000 in fc.
    assert count(model.encoder) == 6_624_904 - 1_025_000


def test_published_weights_of_the_trunk_fit():
    with torch.device("meta"):
        trunk = fastcv.create_model("googlenet", aux_logits=False)
        model = fastcv.create_model("show_and_tell")
    found = model.encoder.load_state_dict(trunk.state_dict(), strict=False, assign=True)
    assert not found.missing_keys and found.unexpected_keys == ["fc.weight", "fc.bias"]


def lstm_by_hand(model, x, h, c):
    """One step of one row, number by number; gates in the order input, forget, cell, output."""
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    w, u, b, d = (getattr(model.lstm, name).tolist() for name in names)
    size = len(h)
    gates = [
        sum(a * y for a, y in zip(w[row], x, strict=True))
        + sum(a * y for a, y in zip(u[row], h, strict=True))
        + b[row]
        + d[row]
        for row in range(4 * size)
    ]

    def sigmoid(y):
        return 1 / (1 + math.exp(-y))

    new_c = [
        sigmoid(gates[size + j]) * c[j] + sigmoid(gates[j]) * math.tanh(gates[2 * size + j])
        for j in range(size)
    ]
    return [sigmoid(gates[3 * size + j]) * math.tanh(new_c[j]) for j in range(size)], new_c


def log_probs_by_hand(model, features, ids):
    """Of each word behind ``<start>``: the picture goes in first, alone, and never again."""
    size = model.lstm.hidden_size
    h, c = lstm_by_hand(model, features.tolist(), [0.0] * size, [0.0] * size)
    found = []
    for word, following in itertools.pairwise(ids):
        h, c = lstm_by_hand(model, model.embedding.weight[word].tolist(), h, c)
        logits = [
            sum(a * y for a, y in zip(row, h, strict=True)) + bias
            for row, bias in zip(model.fc.weight.tolist(), model.fc.bias.tolist(), strict=True)
        ]
        found.append(logits[following] - math.log(sum(map(math.exp, logits))))
    return found


def test_the_loss_by_hand():
    model = small().eval()
    ids, lengths = batch(model)
    features = model(torch.randn(3, 3, 32, 32))
    terms = [
        p
        for row, words, length in zip(features, ids.tolist(), lengths.tolist(), strict=True)
        for p in log_probs_by_hand(model, row, words[:length])
    ]
    assert len(terms) == 6 + 4 + 3  # each word and the end
    losses = model.loss(features, (ids, lengths))
    assert list(losses) == ["nll"]
    # float32 against Python's float64
    assert losses["nll"].item() == pytest.approx(-sum(terms) / len(terms), abs=1e-5)


def test_teacher_forcing_is_as_step_by_step():
    model = small().eval()
    ids, _ = batch(model)
    features = model(torch.randn(3, 3, 32, 32))
    at_once, attention = model.teacher_forced(features, ids[:, :-1])
    memory, state = model.begin(features)
    for t in range(ids.shape[1] - 1):
        logits, state, _ = model.step(ids[:, t], state, memory)
        torch.testing.assert_close(logits, at_once[:, t], rtol=1e-5, atol=1e-6)
    assert attention is None


def test_padding_says_nothing():
    model = small().eval()
    ids, lengths = batch(model)
    features = model(torch.randn(3, 3, 32, 32))
    before = model.loss(features, (ids, lengths))["nll"]
    wider = F.pad(ids, (0, 3))
    wider[1, int(lengths[1]) :] = 7
    torch.testing.assert_close(model.loss(features, (wider, lengths))["nll"], before)


class Two:
    """Two kinds of pictures, and a sentence of each."""

    def __len__(self):
        return 16

    def __getitem__(self, i):
        texts = (["a cat on a mat"], ["the dog sits"])
        return torch.full((3, 32, 32), float(i % 2)), texts[i % 2]


def test_it_learns_and_what_it_writes_has_its_vocabulary(tmp_path):
    model = small(embedding=16, hidden=24, dropout=0.0)
    fit(
        model,
        Two(),
        epochs=25,
        batch_size=8,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.02),
        collate_fn=caption_batches(model),
        out=tmp_path,
        devices="cpu",
        progress=False,
        tensorboard=False,
    )
    pictures = [Two()[0][0], Two()[1][0]]
    for loaded in (
        model,
        fastcv.load_model(tmp_path / "model.safetensors"),
        fastcv.create_model("show_and_tell_resnet18", str(tmp_path / "model.safetensors")),
    ):
        assert loaded.vocabulary.words[4:] == WORDS
        for method in ("greedy", "beam"):
            found = loaded.predict(pictures, method=method, batch_size=2)
            assert [caption.text for caption in found] == ["a cat on a mat", "the dog sits"]
