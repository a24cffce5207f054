"""One forward a step for all players: the gradients of two, in the order that the system states."""

import pytest
import torch
from torch import nn

from fastcv.learn import fit
from fastcv.learn._batches import Order

pytestmark = pytest.mark.usefixtures("quick_curves")


def same(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_equals_two_forwards(digits, tmp_path):
    """The judge's turn leaves the mover as it was: to run forward again gives the same."""

    class Twice(digits.SharedToy):
        shared_forward = False

    counts = []
    for make in (digits.SharedToy, Twice):
        calls = []

        class Counted(make):
            def forward(self, x, calls=calls):
                calls.append(len(x))
                return super().forward(x)

        model, history = digits.train_toy(tmp_path / make.__name__, Counted)
        counts.append((len(calls), model, history))
    (once, model, history), (twice, plain, of_plain) = counts
    assert (once, twice) == (8, 16)
    assert history.steps == of_plain.steps and same(model, plain)


def test_all_see_the_output_from_before_the_first_turn(digits, tmp_path):
    """The mover first: the judge sees what it made before its update, as in CycleGAN."""

    class MoverFirst(digits.SharedToy):
        @property
        def players(self):
            return {"mover": self.mover, "judge": self.judge}

    model, history = digits.train_toy(tmp_path, MoverFirst)

    torch.manual_seed(0)
    toy, data = digits.Toy(), digits.toy_data()
    mover = torch.optim.SGD(toy.mover.parameters(), lr=0.05)
    judge = torch.optim.Adam(toy.judge.parameters(), lr=0.02)
    order = Order(32, batch_size=8, parts=1, seed=0)
    for step in range(8):
        order.epoch = step // 4
        x, y = data[[index for _, index in list(order)[step % 4]]]
        moved = toy(x)
        fool = toy.loss(moved, y, player="mover")
        mover.zero_grad()
        sum(fool.values()).backward()
        mover.step()
        tell = toy.loss(moved.detach(), y, player="judge")
        judge.zero_grad()
        sum(tell.values()).backward()
        judge.step()
        assert history.steps[step]["mover/fool"] == fool["fool"].item()
        assert history.steps[step]["judge/moved"] == tell["moved"].item()
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in toy.state_dict().items())


def test_dropout_is_drawn_once(digits, tmp_path):
    seen = []

    class Drops(digits.SharedToy):
        def forward(self, x):
            return nn.functional.dropout(super().forward(x), 0.5)

        def loss(self, output, targets, player):
            seen.append(output.detach().clone())
            return super().loss(output, targets, player)

    digits.train_toy(tmp_path, Drops, epochs=1)
    assert len(seen) == 8 and (seen[0] == 0).any()
    for judged, moved in zip(seen[::2], seen[1::2], strict=True):
        assert torch.equal(judged, moved)


def test_parts_change_nothing(digits, tmp_path):
    _, whole = digits.train_toy(tmp_path / "whole", digits.SharedToy)
    _, parts = digits.train_toy(tmp_path / "parts", digits.SharedToy, accumulate=4)
    # Sums of 8 float32 in another order, through 8 steps.
    for a, b in zip(whole.steps, parts.steps, strict=True):
        assert a == pytest.approx(b, rel=1e-4)


def test_with_a_ratio(digits, tmp_path):
    """Also where the player of the shared graph sits a step out."""
    model, history = digits.train_toy(tmp_path, digits.SharedToy, every={"mover": 2})
    assert ["mover/fool" in row for row in history.steps] == [False, True] * 4
    assert all("judge/real" in row for row in history.steps)
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


class Chain(nn.Module):
    """Two players that forward runs one after the other."""

    shared_forward = True

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(2, 2), nn.Linear(2, 2)

    @property
    def players(self):
        return {"second": self.second, "first": self.first}

    def forward(self, x):
        return self.second(self.first(x))

    def loss(self, output, targets, player):
        return {"square": (output - targets).square().mean()}


def train_chain(digits, out, model):
    return fit(
        model,
        digits.toy_data(),
        epochs=1,
        batch_size=8,
        optimizer=dict.fromkeys(model.players, lambda p: torch.optim.SGD(p, lr=0.01)),
        out=out,
        devices="cpu",
        progress=False,
        tensorboard=False,
    )


def test_error_where_weights_of_the_graph_have_changed(digits, tmp_path):
    with pytest.raises(
        RuntimeError, match=r"player first goes through weights.*make the two one player"
    ):
        train_chain(digits, tmp_path, Chain())


def test_two_players_in_one_graph(digits, tmp_path):
    """In the other order no graph is broken: the second's gradient needs no weight of the first."""

    class Reversed(Chain):
        @property
        def players(self):
            return {"first": self.first, "second": self.second}

    history = train_chain(digits, tmp_path, Reversed())
    assert all(row["first/square"] == row["second/square"] for row in history.steps)


def test_other_errors_of_backward_stay(digits, tmp_path):
    class Detached(Chain):
        def loss(self, output, targets, player):
            return {"square": output.detach().square().mean()}

    with pytest.raises(RuntimeError, match="does not require grad"):
        train_chain(digits, tmp_path, Detached())
