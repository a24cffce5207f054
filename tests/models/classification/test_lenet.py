"""LeNet-5 against the paper's numbers and formulas."""

import pytest
import torch
from sklearn.datasets import load_digits

from fastcv.models import create_model
from fastcv.models.classification.lenet import (
    CONNECTIONS,
    SparseConvolution,
    Subsampling,
    squash,
)


def test_parameters_of_each_layer():
    model = create_model("lenet5")
    counts = {n: sum(p.numel() for p in m.parameters()) for n, m in model.named_children()}
    assert counts == {
        "c1": 6 * (25 + 1),
        "s2": 6 * 2,
        "c3": 6 * (3 * 25 + 1) + 9 * (4 * 25 + 1) + 1 * (6 * 25 + 1),
        "s4": 16 * 2,
        "c5": 120 * (16 * 25 + 1),
        "f6": 84 * (120 + 1),
    }
    assert [*counts.values()] == [156, 12, 1516, 32, 48_120, 10_164]
    assert sum(counts.values()) == 60_000


def test_connections_are_table_1():
    rows = [
        "X...XXX..XXXX.XX",
        "XX...XXX..XXXX.X",
        "XXX...XXX..X.XXX",
        ".XXX..XXXX..X.XX",
        "..XXX..XXXX.XX.X",
        "...XXX..XXXX.XXX",
    ]
    for out, sources in enumerate(CONNECTIONS):
        assert sorted(sources) == [i for i in range(6) if rows[i][out] == "X"]


def test_layers_do_what_the_paper_says():
    torch.manual_seed(0)
    x = torch.randn(2, 6, 8, 10)
    convolution, subsampling = SparseConvolution(CONNECTIONS), Subsampling(6)
    for p in (*convolution.parameters(), *subsampling.parameters()):
        torch.nn.init.normal_(p)
    got, weights = convolution(x), iter(convolution.weight)
    for out, sources in enumerate(CONNECTIONS):
        want = convolution.bias[out].expand(2, 4, 6)
        for source in sources:
            kernel = next(weights)
            want = want + sum(
                kernel[i, j] * x[:, source, i : i + 4, j : j + 6]
                for i in range(5)
                for j in range(5)
            )
        torch.testing.assert_close(got[:, out], want, rtol=1e-4, atol=1e-4)
    four = sum(x[:, :, i::2, j::2] for i in (0, 1) for j in (0, 1))
    want = four * subsampling.weight + subsampling.bias
    torch.testing.assert_close(subsampling(x), want)
    ones = torch.tensor([-1.0, 1.0])  # f(1) = 1 by the choice of its constants
    torch.testing.assert_close(squash(ones), ones, rtol=0, atol=1e-4)


def test_loss_is_equation_9():
    torch.manual_seed(0)
    penalties = torch.rand(3, 10) * 5
    labels = torch.tensor([2, 0, 9])
    terms = [
        penalties[i, label] + torch.log(torch.exp(torch.tensor(-1.0)) + (-penalties[i]).exp().sum())
        for i, label in enumerate(labels)
    ]
    model = create_model("lenet5")
    torch.testing.assert_close(model.loss(-penalties, labels)["penalty"], sum(terms) / 3)
    with pytest.raises(ValueError, match=r"labels 0 to 9, got \[2, 0, 10\]"):
        model.loss(-penalties, torch.tensor([2, 0, 10]))


def test_every_model_has_the_same_codes():
    codes = [create_model("lenet5").codes for _ in range(2)]
    assert torch.equal(*codes) and codes[0].shape == (10, 84) and (codes[0].abs() == 1).all()


def test_reads_digits_of_writers_it_has_not_seen():
    data = load_digits()  # in the order in which they were written
    images = torch.tensor(data.images / 16, dtype=torch.float32)[:, None]
    labels = torch.tensor(data.target)
    torch.manual_seed(0)
    model = create_model("lenet5")
    inputs = model.prepare(list(images.expand(-1, 3, -1, -1)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.003, momentum=0.9)
    for _ in range(3):
        for batch in torch.randperm(1300).split(32):
            optimizer.zero_grad()
            model.loss(model(inputs[batch]), labels[batch])["penalty"].backward()
            optimizer.step()
    results = model.predict(list(images[1300:]), batch_size=500)
    right = [
        predicted.top(1)[0][0] == str(int(y))
        for predicted, y in zip(results, labels[1300:], strict=True)
    ]
    assert sum(right) / len(right) > 0.85  # 0.90


def test_pictures_become_grey():
    model = create_model("lenet5")
    red = torch.zeros(3, 50, 64)
    red[0] = 1
    batch = model.prepare([red])
    assert batch.shape == (1, 1, 32, 32)
    torch.testing.assert_close(batch, torch.full((1, 1, 32, 32), 0.299 * 1.275 - 0.1))
    with pytest.raises(ValueError, match=r"must be \[B, 1, 32, 32\], got \[1, 3, 32, 32\]"):
        model(torch.rand(1, 3, 32, 32))
