"""State that is no parameter goes on to the bit, and no broken state reaches the disk."""

import math
import signal

import pytest
import torch

from fastcv.learn import fit

pytestmark = pytest.mark.usefixtures("quick_curves")

# Two epochs of four steps; 20 points of a pool are full in the third.
OPTIONS = dict(ema_decay=0.9, save_every=1)


class Breaks(Exception):
    pass


def same(a, b):
    """Whether two checkpoints hold the same, tensors to the bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def last(folder):
    return torch.load(folder / "last.pt", weights_only=True)


def once_in(make, turn, step, act):
    """The system, but ``act(losses)`` gives the losses of one player's turn in one step."""

    class Acts(make):
        turns = 0

        def loss(self, output, targets, player):
            losses = super().loss(output, targets, player)
            Acts.turns += player == turn
            return act(losses) if player == turn and Acts.turns == step else losses

    Acts.__name__ = make.__name__  # the run's settings name the class
    return Acts


@pytest.mark.parametrize("step", [1, 2, 3, 4, 6])  # filling up, full, an epoch's last, replacing
def test_pool_and_norm_go_on_to_the_bit(digits, tmp_path, step):
    digits.train_toy(tmp_path / "whole", digits.PoolToy, **OPTIONS)

    def stop(losses):
        signal.raise_signal(signal.SIGTERM)
        return losses

    with pytest.raises(SystemExit, match=f"after step {step};"):
        digits.train_toy(
            tmp_path / "stopped", once_in(digits.PoolToy, "mover", step, stop), **OPTIONS
        )
    stopped = last(tmp_path / "stopped")
    assert stopped["model"]["filled"] == min(8 * step, 20)
    model, _ = digits.train_toy(tmp_path / "stopped", digits.PoolToy, **OPTIONS)
    whole = last(tmp_path / "whole")
    assert same(last(tmp_path / "stopped"), whole)
    # The pool did give and take since, and the average has the last pool, not a mean of pools.
    assert not torch.equal(whole["model"]["pool"], stopped["model"]["pool"])
    assert torch.equal(model.pool, whole["model"]["pool"])


class Codebook(torch.nn.Module):
    """A codebook that follows the data by running means, beside a layer that is trained."""

    def __init__(self):
        super().__init__()
        self.encode = torch.nn.Linear(2, 2)
        self.register_buffer("codes", torch.randn(4, 2))
        self.register_buffer("sums", self.codes.clone())
        self.register_buffer("counts", torch.ones(4))

    def forward(self, x):
        z = self.encode(x)
        with torch.no_grad():
            nearest = torch.cdist(z, self.codes).argmin(1)
            hits = torch.nn.functional.one_hot(nearest, 4).float()
            self.counts.lerp_(hits.sum(0), 0.1)
            self.sums.lerp_(hits.T @ z, 0.1)
            self.codes.copy_(self.sums / self.counts.clamp_min(0.01)[:, None])
        return z, self.codes[nearest]

    def loss(self, output, targets):
        z, codes = output
        return {"commit": (z - codes).square().mean(), "far": (z - targets).square().mean()}


def train_codebook(digits, out, make=Codebook, **options):
    torch.manual_seed(0)
    return fit(
        make(),
        digits.toy_data(),
        epochs=2,
        batch_size=8,
        optimizer=lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        out=out,
        devices="cpu",
        progress=False,
        tensorboard=False,
        **options,
    )


def test_codebook_goes_on_to_the_bit(digits, tmp_path, monkeypatch):
    train_codebook(digits, tmp_path / "whole", **OPTIONS)
    forward, calls = Codebook.forward, []

    def breaks(self, x):
        calls.append(1)
        if len(calls) == 7:
            raise Breaks
        return forward(self, x)

    monkeypatch.setattr(Codebook, "forward", breaks)
    with pytest.raises(Breaks):
        train_codebook(digits, tmp_path / "broken", **OPTIONS)
    train_codebook(digits, tmp_path / "broken", **OPTIONS)
    whole = last(tmp_path / "whole")
    assert same(last(tmp_path / "broken"), whole)
    assert not torch.equal(whole["model"]["codes"], whole["model"]["sums"])


def test_error_for_a_buffer_that_grows(digits, tmp_path):
    class Grows(Codebook):
        def forward(self, x):
            self.codes = torch.cat([self.codes, x[:1]])
            return self.encode(x), x

    with pytest.raises(
        ValueError, match=r"buffer codes had the shape \(4, 2\) and now has \(5, 2\).*count what"
    ):
        train_codebook(digits, tmp_path, Grows, save_every=1)
    assert not (tmp_path / "last.pt").exists()


@pytest.mark.parametrize("name", ["Toy", "SharedToy"])
@pytest.mark.parametrize("player, term", [("mover", "fool"), ("judge", "real")])
def test_nan_in_one_player_stops_all(digits, tmp_path, name, player, term):
    """What is on the disk, the average too, is what a crash in that turn would have left."""
    make = getattr(digits, name)

    def nan(losses):
        return {**losses, term: losses[term] * math.nan}

    def crash(losses):
        raise Breaks

    with pytest.raises(
        ValueError, match=f"the loss term {player}/{term} is nan in epoch 2, step 6"
    ):
        digits.train_toy(tmp_path / "nan", once_in(make, player, 6, nan), **OPTIONS)
    with pytest.raises(Breaks):
        digits.train_toy(tmp_path / "crash", once_in(make, player, 6, crash), **OPTIONS)
    saved = last(tmp_path / "nan")
    assert saved["position"] == (1, 1) and same(saved, last(tmp_path / "crash"))
    assert all(v.isfinite().all() for v in saved["model"].values())
    # Sound again, it goes on as if nothing had been.
    digits.train_toy(tmp_path / "nan", make, **OPTIONS)
    digits.train_toy(tmp_path / "whole", make, **OPTIONS)
    assert same(last(tmp_path / "nan"), last(tmp_path / "whole"))


@pytest.mark.parametrize("name, player", [("Toy", "judge"), ("SharedToy", "mover")])
def test_nan_in_a_gradient_stays_off_the_disk(digits, tmp_path, name, player):
    """The loss is finite, its slope is not: the next loss would tell, but a save comes first."""

    def steep(losses):
        return {**losses, "steep": sum(losses.values()).mul(0).sqrt()}

    make = once_in(getattr(digits, name), player, 6, steep)
    with pytest.raises(
        ValueError,
        match=rf"weights are NaN or infinite after step 6.*{player}\.weight.*Nothing was",
    ):
        digits.train_toy(tmp_path, make, **OPTIONS)
    saved = last(tmp_path)
    assert saved["position"] == (1, 1)
    for state in (saved["model"], saved["ema"]["average"]):
        assert all(v.isfinite().all() for v in state.values())
