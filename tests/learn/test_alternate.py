"""Groups of parameters that learn one after the other, by a metric; and a resumed run."""

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from fastcv.learn import fit
from fastcv.learn.alternate import AlternateOnPlateau


def adam_of(groups=2):
    return torch.optim.Adam(
        [{"params": [nn.Parameter(torch.zeros(1))]} for _ in range(groups)], lr=0.5
    )


def turns_of(metrics, patience, groups=2):
    """Which group learns after each evaluation."""
    optimizer = adam_of(groups)
    alternate = AlternateOnPlateau("rank", patience)
    schedule = alternate(optimizer, 100)
    found = []
    values = iter(metrics)
    evaluate = alternate.watching(lambda model, data: {"rank": next(values), "other": 0})
    for metric in metrics:
        assert evaluate(None, None)["rank"] is metric
        optimizer.step()
        schedule.step()
        rates = [group["lr"] for group in optimizer.param_groups]
        assert sorted(rates) == [0.0] * (groups - 1) + [0.5] and schedule.get_last_lr() == rates
        found.append(rates.index(0.5))
    return found


def test_the_turn_goes_on_where_nothing_gets_better():
    # Once without a better one, then three times; equal is not better, and the best is kept.
    assert turns_of([9, 9, 8, 8, 8, 8, 8, 7, 7, 7, 7], (1, 3)) == [0, 1, 1, 1, 1, 0, 0, 0, 0, 0, 1]
    assert turns_of([5, 4, 3, 2, 1], (1, 1)) == [0] * 5
    assert turns_of([5, 6, 4, 4], (1, 1)) == [0, 1, 1, 0]
    assert turns_of([5, 5, 5, 5], (1, 1), groups=3) == [0, 1, 2, 0]
    assert turns_of([float("nan")] * 2, (2, 2)) == [0, 1]


def test_what_it_refuses():
    with pytest.raises(ValueError, match=r"patience must be at least 1, got \(0, 3\)"):
        AlternateOnPlateau("rank", (0, 3))
    with pytest.raises(ValueError, match="two groups or more"):
        AlternateOnPlateau("rank")(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1), 10)
    watched = AlternateOnPlateau("rank").watching(lambda model, data: {"loss": 1.0})
    with pytest.raises(ValueError, match="must return 'rank', by which groups alternate, got loss"):
        watched(None, None)


class TwoHalves(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Linear(3, 4), nn.Linear(4, 1)

    def forward(self, x):
        return self.second(self.first(x).tanh())

    def loss(self, output, targets):
        return {"square": (output - targets).square().mean()}


def run(folder, **options):
    model = TwoHalves()
    turns = AlternateOnPlateau("rank", (1, 1))
    generator = torch.Generator().manual_seed(1)
    data = TensorDataset(
        torch.randn(16, 3, generator=generator), torch.randn(16, 1, generator=generator)
    )
    halves = [{"params": [*model.first.parameters()]}, {"params": [*model.second.parameters()]}]
    settings = {
        "epochs": 5,
        "batch_size": 4,
        "optimizer": lambda parameters: torch.optim.Adam(halves, lr=0.01),
        "scheduler": turns,
        "evaluate": turns.watching(lambda model, data: {"rank": 3.0}),
        "devices": "cpu",
        "progress": False,
        "tensorboard": False,
    }
    history = fit(model, data, out=folder, **{**settings, **options})
    return model.state_dict(), [row["lr"] for row in history.steps]


def test_a_resumed_run_knows_whose_turn_it_is(tmp_path):
    whole, rates = run(tmp_path / "whole")
    # The first evaluation is the best one; after it each changes the turn.
    assert rates == [0.01] * 8 + [0.0] * 4 + [0.01] * 4 + [0.0] * 4
    stopped = AlternateOnPlateau("rank", (1, 1))
    calls = []

    def stops(model, data):
        calls.append(1)
        if len(calls) == 3:
            raise KeyError("a mistake in evaluate")
        return {"rank": 3.0}

    with pytest.raises(KeyError):
        run(tmp_path / "parts", scheduler=stopped, evaluate=stopped.watching(stops))
    resumed, rates = run(tmp_path / "parts")
    assert rates == [0.01] * 8 + [0.0] * 4 + [0.01] * 4 + [0.0] * 4
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)
