"""Show, Attend and Tell: counts, keys, a step by hand, both losses, and the optimiser."""

import math
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import fastcv
from fastcv.language import pad_texts
from fastcv.learn import fit
from fastcv.models.language.hard_attention import ENTROPY, Reinforce, look_hard

WORDS = ("a", "cat", "on", "mat", "the", "dog")
TEXTS = ["a cat on a mat", "the dog", "a dog"]


def small(**config):
    torch.manual_seed(0)
    options = {
        **{"words": WORDS, "size": 32, "width": 4, "grid": 2},
        **{"embedding": 5, "hidden": 4, "attention_size": 3, **config},
    }
    return fastcv.create_model("show_attend_and_tell_resnet18", **options)


def batch(model):
    return pad_texts([model.vocabulary.encode(text, ends=True) for text in TEXTS])


def count(module):
    return sum(p.numel() for p in module.parameters())


# Counts and keys.


def test_the_published_size():
    """20,483,859 is that of sgrvinod's COCO vocabulary: 9,490 words, the four special ones too."""
    fixed = (
        (2048 * 512 + 512)  # encoder_att
        + (512 * 512 + 512)  # decoder_att
        + (512 + 1)  # full_att
        + 4 * 512 * (512 + 2048 + 512)  # decode_step
        + 2 * 4 * 512
        + 2 * (2048 * 512 + 512)  # init_h, init_c
        + (512 * 2048 + 2048)  # f_beta
    )
    words, rest = divmod(20_483_859 - fixed, 512 + 512 + 1)  # rows of embedding and fc, a bias
    assert (words, rest) == (9490, 0)
    with torch.device("meta"):
        model = fastcv.create_model("show_attend_and_tell", words=[f"w{i}" for i in range(9486)])
    assert count(model.decoder) == 20_483_859
    assert count(model.encoder) == 44_549_160 - 2_049_000  # ResNet-101 without its classifier
    assert model.pool.output_size == 14 and model.preprocessing["size"] == 256


def test_keys_of_the_decoder():
    layers = ["encoder_att", "decoder_att", "full_att"]
    expected = {f"attention.{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
    for layer in ("init_h", "init_c", "f_beta", "fc"):
        expected |= {f"{layer}.weight", f"{layer}.bias"}
    for kind in ("weight", "bias"):
        expected |= {f"decode_step.{kind}_ih", f"decode_step.{kind}_hh"}
    assert set(small().decoder.state_dict()) == expected | {"embedding.weight"}


def test_keys_of_sgrvinods_encoder():
    """ResNet's children in a Sequential: conv1, bn1, relu, maxpool, four stages."""
    model = small()
    state = model.state_dict()
    trunk = nn.Sequential(
        *(model.encoder.conv1, model.encoder.bn1, nn.ReLU(), nn.MaxPool2d(3)),
        *(getattr(model.encoder, f"layer{i}") for i in range(1, 5)),
    )
    theirs = {f"encoder.resnet.{key}": value for key, value in trunk.state_dict().items()}
    theirs |= {key: value for key, value in state.items() if key.startswith("decoder.")}
    assert theirs.keys() != state.keys() and len(theirs) == len(state)
    other = small()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    other.load_state_dict(theirs)
    assert all(torch.equal(other.state_dict()[key], value) for key, value in state.items())


# The decoder by hand.


def linear(layer, x):
    weights, bias = layer.weight.tolist(), layer.bias.tolist()
    return [
        sum(w * y for w, y in zip(row, x, strict=True)) + b
        for row, b in zip(weights, bias, strict=True)
    ]


def sigmoid(y):
    return 1 / (1 + math.exp(-y))


def by_hand(decoder, annotations, ids, choose=lambda weights: weights):
    """Logits and weights behind each of ``ids``, of one picture; number by number.

    Attention is of the state *before* the step; the gate, too.
    """
    channels = len(annotations[0])
    mean = [sum(a[k] for a in annotations) / len(annotations) for k in range(channels)]
    h, c = linear(decoder.init_h, mean), linear(decoder.init_c, mean)
    cell = decoder.decode_step
    logits, maps = [], []
    for word in ids:
        query = linear(decoder.attention.decoder_att, h)
        scores = []
        for annotation in annotations:
            key = linear(decoder.attention.encoder_att, annotation)
            both = [max(k + q, 0.0) for k, q in zip(key, query, strict=True)]
            scores.append(linear(decoder.attention.full_att, both)[0])
        total = sum(map(math.exp, scores))
        weights = [math.exp(s) / total for s in scores]
        looked = choose(weights)
        gate = [sigmoid(y) for y in linear(decoder.f_beta, h)]
        context = [
            gate[k] * sum(w * a[k] for w, a in zip(looked, annotations, strict=True))
            for k in range(channels)
        ]
        x = decoder.embedding.weight[word].tolist() + context
        gates = [
            a + b
            for a, b in zip(
                linear(type("L", (), {"weight": cell.weight_ih, "bias": cell.bias_ih}), x),
                linear(type("L", (), {"weight": cell.weight_hh, "bias": cell.bias_hh}), h),
                strict=True,
            )
        ]
        n = len(h)
        c = [
            sigmoid(gates[n + j]) * c[j] + sigmoid(gates[j]) * math.tanh(gates[2 * n + j])
            for j in range(n)
        ]
        h = [sigmoid(gates[3 * n + j]) * math.tanh(c[j]) for j in range(n)]
        logits.append(linear(decoder.fc, h))
        maps.append(weights)
    return torch.tensor(logits), torch.tensor(maps)


def one_hot(weights):
    return [float(w == max(weights)) for w in weights]


@pytest.mark.parametrize(("kind", "choose"), [("soft", lambda w: w), ("hard", one_hot)])
def test_teacher_forcing_by_hand(kind, choose):
    model = small(attention=kind).eval()
    ids, _ = batch(model)
    annotations = torch.randn(3, 4, 32)
    logits, maps = model.teacher_forced(annotations, ids[:, :-1])
    assert logits.shape == (3, ids.shape[1] - 1, 10) and maps.shape == (3, ids.shape[1] - 1, 2, 2)
    for i in range(3):
        expected, weights = by_hand(
            model.decoder, annotations[i].tolist(), ids[i, :-1].tolist(), choose
        )
        torch.testing.assert_close(logits[i], expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(maps[i].flatten(1), weights, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(maps.sum(dim=(2, 3)), torch.ones(3, ids.shape[1] - 1))


def test_sentences_of_one_picture_do_not_meet():
    """Two sentences a picture, as a beam has them, are as each by itself."""
    model = small().eval()
    memory, state = model.begin(torch.randn(3, 4, 32))
    words = torch.tensor([4, 5, 6, 7, 8, 9])
    doubled = tuple(part.repeat_interleave(2, 0) + torch.randn(6, 1) for part in state)
    logits, after, maps = model.step(words, doubled, memory)
    for row in range(6):
        one = tuple(part[row : row + 1] for part in doubled)
        of_picture = tuple(part[row // 2 : row // 2 + 1] for part in memory)
        found, single, place = model.step(words[row : row + 1], one, of_picture)
        torch.testing.assert_close(found[0], logits[row])
        torch.testing.assert_close(single[0][0], after[0][row])
        torch.testing.assert_close(place[0], maps[row])


def test_annotations_are_cells_row_by_row():
    model = small().eval()
    images = torch.randn(2, 3, 64, 64)
    maps = model.pool(model.encoder(images)[-1])
    found = model(images)
    assert found.shape == (2, 4, 32)
    torch.testing.assert_close(found[:, 1], maps[:, :, 0, 1])
    torch.testing.assert_close(found[:, 2], maps[:, :, 1, 0])


# Losses.


def test_positions_tell_cells_apart():
    """A picture of one colour: its inner cells are alike, and with positions no two are."""
    options = {"words": ("a",), "width": 8, "grid": 4, "small_pictures": True}
    torch.manual_seed(0)
    plain = fastcv.create_model("show_attend_and_tell_resnet18", **options).eval()
    placed = fastcv.create_model("show_attend_and_tell_resnet18", positions=True, **options)
    placed.load_state_dict(plain.state_dict())  # positions are no weights
    images = torch.ones(1, 3, 64, 64)
    with torch.no_grad():
        before, after = plain(images), placed.eval()(images)
    added = (after - before)[0]
    # From Vaswani et al.'s formula: the first sine and cosine of the row, 1 to 4 of 4 times 2 pi.
    for cell in range(16):
        angle = 2 * math.pi * (cell // 4 + 1) / (4 + 1e-6)
        expected = torch.tensor([math.sin(angle), math.cos(angle)])
        torch.testing.assert_close(added[cell, :2], expected, rtol=0, atol=1e-5)
    apart = torch.cdist(added, added) + torch.eye(16)
    assert apart.min() > 0.5


def test_the_soft_loss_by_hand():
    model = small().eval()
    ids, lengths = batch(model)
    annotations = torch.randn(3, 4, 32)
    nll, penalty, words = 0.0, 0.0, 0
    for i, length in enumerate(lengths.tolist()):
        row = ids[i, :length].tolist()
        logits, maps = by_hand(model.decoder, annotations[i].tolist(), row[:-1])
        for scores, word in zip(logits.tolist(), row[1:], strict=True):
            nll -= scores[word] - math.log(sum(map(math.exp, scores)))
            words += 1
        penalty += sum((1 - total) ** 2 for total in maps.sum(dim=0).tolist())
    losses = model.loss(annotations, (ids, lengths))
    assert list(losses) == ["nll", "doubly_stochastic"]
    assert losses["nll"].item() == pytest.approx(nll / words, rel=1e-4)
    assert losses["doubly_stochastic"].item() == pytest.approx(penalty / (3 * 4), rel=1e-4)


def test_reinforce_by_hand():
    """Two captions, the second of one word; the second looks at the expectation."""
    weights = [torch.tensor([[0.5, 0.25, 0.25], [0.2, 0.2, 0.6]]).requires_grad_() for _ in "ab"]
    draws = Reinforce(torch.tensor([True, False]))
    torch.manual_seed(1)
    looked = [look_hard(w, draws) for w in weights]
    assert sorted(looked[0][0].tolist()) == [0, 0, 1]
    assert torch.equal(looked[0][1], weights[0][1])
    cells = [int(look[0].argmax()) for look in looked]
    logits = torch.tensor([[[1.0, 0], [0, 2]], [[0, 1], [5, 0]]])
    words, counts = torch.tensor([[0, 0], [1, 0]]), torch.tensor([[True, True], [True, False]])
    baseline = torch.tensor(-1.5)
    losses = draws.loss(logits, words, counts, baseline)
    said = [
        [-math.log(1 + math.exp(-1)), -math.log(1 + math.exp(2))],
        [-math.log(1 + math.exp(-1))],
    ]
    assert losses["nll"].item() == pytest.approx(-sum(map(sum, said)) / 3, rel=1e-5)
    drawn = sum(math.log([0.5, 0.25, 0.25][cell]) for cell in cells)
    assert losses["reinforce"].item() == pytest.approx(-(sum(said[0]) + 1.5) * drawn / 3, rel=1e-5)

    def entropy(row):
        return -sum(p * math.log(p) for p in row)

    entropies = 2 * entropy([0.5, 0.25, 0.25]) + entropy([0.2, 0.2, 0.6])
    assert losses["entropy"].item() == pytest.approx(-ENTROPY * entropies / 3, rel=1e-5)
    mean = (sum(said[0]) + sum(said[1])) / 2
    assert baseline.item() == pytest.approx(0.9 * -1.5 + 0.1 * mean, rel=1e-5)
    losses["reinforce"].backward()
    for w, cell in zip(weights, cells, strict=True):  # of drawn cells alone
        expected = torch.zeros(2, 3)
        expected[0, cell] = -(sum(said[0]) + 1.5) / 3 / [0.5, 0.25, 0.25][cell]
        torch.testing.assert_close(w.grad, expected)


def test_reinforce_is_the_gradient_of_the_expected_reward():
    """The mean over many draws, against the sum over all cells."""
    scores = torch.tensor([0.5, -0.5, 0.0], requires_grad=True)
    rewards = torch.tensor([-0.2, -2.0, -1.0])  # log-probability of the word, by cell
    expected = torch.autograd.grad(-(scores.softmax(0) * rewards).sum(), scores)[0]
    torch.manual_seed(0)
    draws = Reinforce(torch.ones(20_000, dtype=torch.bool))
    looked = look_hard(scores.softmax(0).expand(20_000, -1), draws)
    reward = looked @ rewards
    logits = torch.stack([reward.exp().log(), (1 - reward.exp()).log()], dim=1)[:, None]
    words, counts = torch.zeros(20_000, 1).long(), torch.ones(20_000, 1).bool()
    losses = draws.loss(logits.detach(), words, counts, torch.tensor(-0.8))
    found = torch.autograd.grad(losses["reinforce"], scores)[0]
    # A draw's gradient is at most about 1; so the mean of 20,000 is off by about 0.007.
    torch.testing.assert_close(found, expected, rtol=0, atol=0.025)


def test_hard_attention_draws_in_training_only():
    model = small(attention="hard", dropout=0.0)
    ids, lengths = batch(model)
    annotations = torch.randn(3, 4, 32)
    assert "baseline" in model.state_dict() and "baseline" not in small().state_dict()
    torch.manual_seed(0)
    terms = [model.loss(annotations, (ids, lengths)) for _ in range(2)]
    assert list(terms[0]) == ["nll", "reinforce", "entropy"]
    assert terms[0]["nll"] != terms[1]["nll"] and model.baseline < 0
    sum(terms[0].values()).backward()
    assert model.decoder.attention.encoder_att.weight.grad.any()
    before = model.eval().baseline.clone()
    losses = [model.loss(annotations, (ids, lengths)) for _ in range(2)]
    assert list(losses[0]) == ["nll"] and losses[0]["nll"] == losses[1]["nll"]
    assert torch.equal(model.baseline, before)


# Training.


def test_the_optimiser_has_two_groups_and_clips_each_number():
    model = small()
    optimizer = model.adam(list(model.parameters()))
    rates = {len(group["params"]): group["lr"] for group in optimizer.param_groups}
    assert rates == {
        len(list(model.encoder.parameters())): 1e-4,
        len(list(model.decoder.parameters())): 4e-4,
    }
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, -7.0)
    model.decoder.fc.bias.grad = torch.linspace(-9, 9, 10)
    optimizer.step()
    assert torch.equal(model.decoder.fc.bias.grad, torch.linspace(-9, 9, 10).clamp(-5, 5))
    assert model.encoder.conv1.weight.grad.unique().tolist() == [-5.0]


class Pairs:
    """Random pictures and sentences."""

    def __init__(self, model):
        self.model, self.images = model, torch.randn(8, 3, 32, 32)

    def __len__(self):
        return 8

    def __getitem__(self, i):
        return self.images[i], self.model.vocabulary.encode(TEXTS[i % 3], ends=True)

    def collate(self, items):
        return torch.stack([image for image, _ in items]), pad_texts([ids for _, ids in items])


class Stop(Exception):
    pass


def test_hard_attention_resumes_to_the_bit(tmp_path):
    """The baseline and what is drawn are as if the run had not stopped."""

    def train(folder, stop_at=None):
        model = small(attention="hard")
        torch.manual_seed(0)
        data = Pairs(model)
        steps = []

        def evaluate(model, _):
            steps.append(1)
            if len(steps) == stop_at:
                raise Stop
            return {}

        fit(
            model,
            data,
            epochs=4,
            batch_size=4,
            optimizer=partial(model.adam, decoder_lr=1e-2),
            evaluate=evaluate,
            out=tmp_path / folder,
            devices="cpu",
            progress=False,
            tensorboard=False,
        )
        return model.state_dict()

    whole = train("whole")
    with pytest.raises(Stop):
        train("parts", stop_at=2)
    resumed = train("parts")
    assert whole["baseline"] < 0
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_attention_of_another_name():
    with pytest.raises(ValueError, match="attention must be 'soft' or 'hard', got 'firm'"):
        small(attention="firm")


def test_hard_attention_looks_at_one_cell():
    """Where the best cell changes nothing but which, the others do not matter."""
    model = small(attention="hard").eval()
    annotations = torch.randn(1, 4, 32)
    memory, state = model.begin(annotations)
    _, _, maps = model.step(torch.tensor([4]), state, memory)
    best = int(maps.flatten().argmax())
    changed = annotations.clone()
    changed[0, (best + 1) % 4] += 1e-4  # too little to change which is best
    again = model.decoder.read(
        model.decoder.embedding(torch.tensor([4])),
        F.one_hot(torch.tensor([[best]]), 4).float(),
        model.decoder.look(state, memory)[1],
        state,
        (changed, memory[1]),
    )
    _, expected, _ = model.step(torch.tensor([4]), state, memory)
    assert torch.equal(again[0], expected[0])
