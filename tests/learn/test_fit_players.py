"""Several players in one loop: in turn, each with its own optimiser and parameters."""

import pytest
import torch

from fastcv.learn import fit
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
