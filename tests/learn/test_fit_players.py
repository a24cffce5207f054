"""Several players in one loop: in turn, each with its own optimiser and parameters."""

import csv

import pytest
import torch
from torch import nn

from fastcv.learn import fit, two_rates
from fastcv.learn._batches import Order

pytestmark = pytest.mark.usefixtures("quick_curves")


def test_equals_alternating_by_hand(digits, tmp_path):
    model, history = digits.train_toy(tmp_path)

    torch.manual_seed(0)
    toy, data = digits.Toy(), digits.toy_data()
    optimizers = {
        "mover": torch.optim.SGD(toy.mover.parameters(), lr=0.05),
        "judge": torch.optim.Adam(toy.judge.parameters(), lr=0.02),
    }
    order = Order(32, batch_size=8, parts=1, seed=0)
    for step in range(8):
        order.epoch = step // 4
        x, y = data[[index for _, index in list(order)[step % 4]]]
        row = history.steps[step]
        for name in ("mover", "judge"):
            toy.zero_grad()
            losses = toy.loss(toy(x), y, player=name)
            sum(losses.values()).backward()
            optimizers[name].step()
            for term, value in losses.items():
                assert row[f"{name}/{term}"] == value.item()
        assert (row["mover/lr"], row["judge/lr"]) == (0.05, 0.02)
    for name, value in toy.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])
    assert all(p.requires_grad for p in model.parameters())


def test_each_turn_sees_only_its_own_gradients(digits, tmp_path, monkeypatch):
    loss, seen = digits.Toy.loss, []

    def watches(self, output, targets, player):
        seen.append((player, {n for n, p in self.named_parameters() if p.requires_grad}))
        return loss(self, output, targets, player)

    monkeypatch.setattr(digits.Toy, "loss", watches)
    digits.train_toy(tmp_path, epochs=1)
    assert seen == 4 * [
        ("mover", {"mover.weight", "mover.bias"}),
        ("judge", {"judge.weight", "judge.bias"}),
    ]


def test_gradients_reach_a_frozen_players_input_and_not_its_weights(digits, tmp_path):
    """Nor those of a network that no player trains: a teacher, the network of a perceptual loss."""

    class Perceptual(digits.Toy):
        def __init__(self):
            super().__init__()
            self.features = nn.Linear(2, 3)

        def loss(self, output, targets, player):
            losses = super().loss(output, targets, player)
            near = (self.features(output) - self.features(targets)).square().mean()
            return {**losses, "near": near}

    seen = []

    class Watched(Perceptual):
        def loss(self, output, targets, player):
            losses = super().loss(output, targets, player)
            if player == "mover":
                output.register_hook(lambda grad: seen.append((output.detach(), targets, grad)))
            return losses

    model, _ = digits.train_toy(tmp_path, Watched, epochs=1)
    torch.manual_seed(0)
    plain = Perceptual()
    # The gradient that came through judge and features, by autograd on all of it.
    moved, targets, gradient = seen[0]
    moved.requires_grad_()
    sum(plain.loss(moved, targets, "mover").values()).backward()
    assert len(seen) == 4 and torch.equal(gradient, moved.grad) and gradient.any()
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(model.features.weight, plain.features.weight)


def test_clips_each_player_alone(digits, tmp_path):
    torch.manual_seed(0)
    model = digits.Toy()
    before = {
        name: torch.cat([p.detach().flatten() for p in m.parameters()]).clone()
        for name, m in model.players.items()
    }
    fit(
        model,
        digits.toy_data(8),
        epochs=1,
        batch_size=8,
        optimizer={name: lambda p: torch.optim.SGD(p, lr=1.0) for name in model.players},
        clip_norm=1e-2,
        out=tmp_path,
        devices="cpu",
        progress=False,
        tensorboard=False,
    )
    for name, module in model.players.items():
        moved = torch.cat([p.detach().flatten() for p in module.parameters()]) - before[name]
        assert moved.norm().item() == pytest.approx(1e-2, rel=1e-3)


def test_schedules(digits, tmp_path):
    def halve(optimizer, steps):
        return torch.optim.lr_scheduler.StepLR(optimizer, steps // 2, 0.5)

    def constant(optimizer, steps):
        return torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)

    _, both = digits.train_toy(tmp_path / "one", scheduler=halve)
    assert [(r["mover/lr"], r["judge/lr"]) for r in both.steps[3:5]] == [
        (0.05, 0.02),
        (0.025, 0.01),
    ]
    _, own = digits.train_toy(tmp_path / "own", scheduler={"mover": halve, "judge": constant})
    assert [(r["mover/lr"], r["judge/lr"]) for r in own.steps[3:5]] == [(0.05, 0.02), (0.025, 0.02)]


class Crossed(nn.Module):
    """Two movers that are one player, as CycleGAN's generators, beside a judge."""

    def __init__(self):
        super().__init__()
        self.there, self.back, self.judge = nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 1)

    @property
    def players(self):
        return {"movers": [self.there, self.back], "judge": self.judge}

    def forward(self, x):
        there = self.there(x)
        return x, there, self.back(there)

    def loss(self, output, targets, player):
        x, there, again = output
        if player == "movers":
            fool = nn.functional.softplus(-self.judge(there)).mean()
            return {"fool": fool, "cycle": (again - x).abs().mean()}
        return {
            "real": nn.functional.softplus(-self.judge(targets)).mean(),
            "moved": nn.functional.softplus(self.judge(there)).mean(),
        }


def test_one_player_of_two_modules_at_two_rates(digits, tmp_path):
    torch.manual_seed(0)
    model, plain = Crossed(), Crossed()
    plain.load_state_dict(model.state_dict())
    history = fit(
        model,
        digits.toy_data(),
        epochs=1,
        batch_size=8,
        optimizer={
            "movers": two_rates(model.back, torch.optim.SGD, head_lr=0.5, body_lr=0.05),
            "judge": lambda p: torch.optim.Adam(p, lr=0.02),
        },
        out=tmp_path,
        devices="cpu",
        progress=False,
        tensorboard=False,
    )
    there = torch.optim.SGD(plain.there.parameters(), lr=0.05)
    back = torch.optim.SGD(plain.back.parameters(), lr=0.5)
    judge = torch.optim.Adam(plain.judge.parameters(), lr=0.02)
    x, y = digits.toy_data().tensors
    for step, batch in enumerate(Order(32, batch_size=8, parts=1, seed=0)):
        items = [index for _, index in batch]
        for name, optimizers in (("movers", (there, back)), ("judge", (judge,))):
            plain.zero_grad()
            losses = plain.loss(plain(x[items]), y[items], name)
            sum(losses.values()).backward()
            for optimizer in optimizers:
                optimizer.step()
            for term, value in losses.items():
                assert history.steps[step][f"{name}/{term}"] == value.item()
    for name, value in plain.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])
    described = torch.load(tmp_path / "last.pt", weights_only=True)["settings"]["optimizer"]
    assert "lr by group [0.05, 0.5]" in described[0]


@pytest.mark.parametrize("every", [{"mover": 3}, {"judge": 2}])
def test_ratio(digits, tmp_path, every):
    """A player with a ratio of n is trained in steps n, 2n, ..., counted through the epochs."""
    scheduled = []

    def halve(optimizer, steps):
        scheduled.append(steps)
        return torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)

    model, history = digits.train_toy(tmp_path, every=every, scheduler=halve)

    torch.manual_seed(0)
    toy, data = digits.Toy(), digits.toy_data()
    optimizers = {
        "mover": torch.optim.SGD(toy.mover.parameters(), lr=0.05),
        "judge": torch.optim.Adam(toy.judge.parameters(), lr=0.02),
    }
    order = Order(32, batch_size=8, parts=1, seed=0)
    for step in range(8):
        order.epoch = step // 4
        x, y = data[[index for _, index in list(order)[step % 4]]]
        row = history.steps[step]
        for name, optimizer in optimizers.items():
            if (step + 1) % every.get(name, 1):
                assert not any(column.startswith(name) for column in row)
                continue
            toy.zero_grad()
            losses = toy.loss(toy(x), y, player=name)
            sum(losses.values()).backward()
            optimizer.step()
            assert row[f"{name}/lr"] == optimizer.param_groups[0]["lr"]
            optimizer.param_groups[0]["lr"] /= 2
            for term, value in losses.items():
                assert row[f"{name}/{term}"] == value.item()
    for name, value in toy.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])
    assert scheduled == [8 // every.get(name, 1) for name in optimizers]
    with open(tmp_path / "history.csv") as file:
        rows = [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]
    assert rows == history.steps


def test_resume_with_a_ratio(digits, tmp_path):
    """Epochs of four steps, a turn in each third: the count goes on."""
    options = dict(every={"mover": 3}, epochs=3)
    straight_model, straight = digits.train_toy(tmp_path / "straight", **options)
    digits.train_toy(tmp_path / "twice", **{**options, "epochs": 1})
    model, history = digits.train_toy(tmp_path / "twice", **options)
    assert history.steps == straight.steps
    assert [r["step"] for r in history.steps if "mover/lr" in r] == [3, 6, 9, 12]
    for a, b in zip(model.parameters(), straight_model.parameters(), strict=True):
        assert torch.equal(a, b)
    with pytest.raises(ValueError, match=r"every was \{'mover': 3\} and is now None"):
        digits.train_toy(tmp_path / "twice", epochs=3)


@pytest.mark.parametrize(
    "every, message",
    [
        ({"critic": 5}, r"every must name players of the model \(mover, judge\), got \['critic'\]"),
        ({"mover": 0}, r"at least 1, and 1 for some player, got \[0, 1\]"),
        ({"mover": 2, "judge": 2}, r"at least 1, and 1 for some player, got \[2, 2\]"),
    ],
)
def test_error_for_a_ratio(digits, tmp_path, every, message):
    with pytest.raises(ValueError, match=message):
        digits.train_toy(tmp_path, every=every)


def test_resume(digits, tmp_path):
    straight_model, straight = digits.train_toy(tmp_path / "straight")
    digits.train_toy(tmp_path / "twice", epochs=1)
    model, history = digits.train_toy(tmp_path / "twice")
    assert history.steps == straight.steps
    for a, b in zip(model.parameters(), straight_model.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    "optimizer, message",
    [
        ({"mover": 1, "critic": 2}, r"players \(mover, judge\), got \['mover', 'critic'\]"),
        ({"mover": 1}, r"players \(mover, judge\), got \['mover'\]"),
        (torch.optim.Adam, "optimizer must be a dict with one entry for each player: mover, judge"),
    ],
)
def test_errors(digits, tmp_path, optimizer, message):
    with pytest.raises(ValueError, match=message):
        fit(
            digits.Toy(),
            digits.toy_data(),
            epochs=1,
            batch_size=8,
            optimizer=optimizer,
            out=tmp_path,
            devices="cpu",
            tensorboard=False,
        )


def test_error_when_a_player_is_frozen(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(
        digits.Toy, "players", property(lambda self: {"a": self.mover, "b": torch.nn.ReLU()})
    )
    with pytest.raises(ValueError, match="nothing to train in b: all is frozen"):
        fit(
            digits.Toy(),
            digits.toy_data(),
            epochs=1,
            batch_size=8,
            optimizer=dict.fromkeys("ab", digits.make_sgd),
            out=tmp_path,
            devices="cpu",
            tensorboard=False,
        )
