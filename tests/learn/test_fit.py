"""fit against a training loop written out, and what it leaves on the disk."""

import csv
import math

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from fastcv.learn import fit


class Watched:
    """A dataset that remembers which items were asked for, and what it gave."""

    def __init__(self, data):
        self.data, self.given = data, []

    def __len__(self):
        return len(self.data)

    def __getitem__(self, index):
        item = self.data[index]
        self.given.append((index, item))
        return item


def test_equals_a_loop_written_out(digits, tmp_path):
    data = Watched(digits.Digits(128))
    model, history = digits.train(tmp_path, train_data=data, batch_size=32, epochs=2)

    # The same items, through a plain loop of the definitions.
    torch.manual_seed(0)
    plain = digits.Classifier()
    ema = {k: v.clone() for k, v in plain.state_dict().items()}
    optimizer = digits.make_sgd(plain.parameters())
    scheduler = digits.make_multistep(optimizer, 8)
    for step in range(8):
        items = [item for _, item in data.given[step * 32 : (step + 1) * 32]]
        images, labels = torch.stack([i for i, _ in items]), torch.stack([t for _, t in items])
        lr = optimizer.param_groups[0]["lr"]
        losses = plain.loss(plain(images), labels)
        sum(losses.values()).backward()
        nn.utils.clip_grad_norm_(plain.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        scheduler.step()
        decay = min(0.95, (1 + step) / (10 + step))
        for name, value in plain.state_dict().items():
            whole = name == "batches"
            ema[name] = value.clone() if whole else decay * ema[name] + (1 - decay) * value
        row = history.steps[step]
        assert (row["epoch"], row["step"], row["lr"]) == (1 + step // 4, step + 1, lr)
        assert row["digit"] == losses["digit"].item() and row["parity"] == losses["parity"].item()
        assert row["loss"] == pytest.approx(row["digit"] + row["parity"], rel=1e-6)
    # d * a + (1 - d) * w and lerp round differently: a few units in the last place.
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, ema[name], rtol=1e-6, atol=1e-7)
    last = torch.load(tmp_path / "last.pt", weights_only=True)
    for name, value in plain.state_dict().items():
        assert torch.equal(last["model"][name], value)
    asked = [index for index, _ in data.given]
    assert sorted(asked[:128]) == sorted(asked[128:]) == list(range(128))
    assert asked[:128] != asked[128:]


@pytest.mark.slow
def test_learns_and_leaves_its_files(digits, tmp_path):
    data = digits.Digits(1000, noise=0.05)
    unseen = digits.Digits(1797)
    unseen.images, unseen.labels = unseen.images[1000:], unseen.labels[1000:]
    model, history = digits.train(
        tmp_path, train_data=data, epochs=8, val_data=unseen, best="accuracy", tensorboard=True
    )
    accuracies = [row["accuracy"] for row in history.epochs]
    assert accuracies[-1] > 0.9  # of unseen digits; 0.1 by chance
    with open(tmp_path / "history.csv") as file:
        rows = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    assert rows == history.steps and len(rows) == 8 * 31
    with open(tmp_path / "epochs.csv") as file:
        assert [float(row["accuracy"]) for row in csv.DictReader(file)] == accuracies
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert list((tmp_path / "tensorboard").glob("events.*"))
    final = load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(v, final[k]) for k, v in model.state_dict().items())
    # The best weights reach the best accuracy, the last the last.
    model.eval()
    assert digits.accuracy(model, unseen)["accuracy"] == accuracies[-1]
    model.load_state_dict(load_file(tmp_path / "best.safetensors"))
    assert digits.accuracy(model, unseen)["accuracy"] == max(accuracies)


def test_parts_and_workers_change_nothing(digits, tmp_path):
    _, whole = digits.train(tmp_path / "whole")
    _, parts = digits.train(tmp_path / "parts", accumulate=4)
    # Sums of 32 float32 in another order, through 16 steps.
    for a, b in zip(whole.steps, parts.steps, strict=True):
        assert a == pytest.approx(b, rel=1e-4)
    _, workers = digits.train(tmp_path / "workers", workers=2)
    assert workers.steps == whole.steps and workers.epochs == whole.epochs


def test_seed_is_the_run(digits, tmp_path):
    runs = [
        digits.train(tmp_path / str(i), dropout=0.3, seed=seed)[1]
        for i, seed in enumerate((1, 1, 2))
    ]
    assert runs[0].steps == runs[1].steps
    assert runs[0].steps[0]["loss"] != runs[2].steps[0]["loss"]


def test_evaluates_the_average_in_eval_mode_without_gradients(digits, tmp_path):
    seen = []

    def evaluate(model, data):
        seen.append((model.training, torch.is_grad_enabled(), data, model.head.weight.clone()))
        return {"weight": model.head.weight.sum().item()}

    model, _ = digits.train(tmp_path, evaluate=evaluate, val_data="anything", epochs=1)
    training, gradients, data, weight = seen[0]
    assert (training, gradients, data) == (False, False, "anything")
    last = torch.load(tmp_path / "last.pt", weights_only=True)
    assert torch.equal(weight, last["ema"]["average"]["head.weight"])
    assert not torch.equal(weight, last["model"]["head.weight"])
    assert torch.equal(weight, model.head.weight)


def test_mixed_precision_leaves_targets_alone(tmp_path):
    class Far(nn.Linear):
        def loss(self, output, targets):
            assert output.dtype == torch.bfloat16 and targets[0]["boxes"].dtype == torch.float32
            return {"distance": (output[0].float() - targets[0]["boxes"]).abs().mean()}

    # 1001 is no bfloat16: the nearest are 1000 and 1004.
    data = [(torch.ones(1), {"boxes": torch.tensor([1001.0])})] * 2
    model = nn.init.zeros_((far := Far(1, 1, bias=False)).weight)
    far.forward = lambda images: nn.functional.linear(images[0], far.weight)
    history = fit(
        far,
        data,
        epochs=1,
        batch_size=1,
        optimizer=lambda p: torch.optim.SGD(p, lr=0.0),
        precision="bf16-mixed",
        out=tmp_path,
        devices="cpu",
        progress=False,
        tensorboard=False,
    )
    assert history.steps[0]["distance"] == 1001 and model.dtype == torch.float32


def test_frozen_parameters_stay(digits, tmp_path):
    torch.manual_seed(0)
    model = digits.Classifier()
    model.stem.requires_grad_(False)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    fit(
        model,
        digits.Digits(64),
        epochs=1,
        batch_size=32,
        optimizer=digits.make_sgd,
        out=tmp_path,
        devices="cpu",
        progress=False,
        tensorboard=False,
    )
    same = {k for k, v in model.state_dict().items() if torch.equal(v, before[k])}
    assert same == {"stem.weight", "stem.bias"}
    assert not model.stem.weight.requires_grad and model.head.weight.requires_grad


def test_progress_shows_terms_and_images(digits, tmp_path, capfd):
    digits.train(tmp_path, epochs=1, progress=True)
    shown = capfd.readouterr()
    assert "epoch 1/1" in shown.err and "256/256" in shown.err and " images/s" in shown.err
    assert "digit=" in shown.err and "parity=" in shown.err
    assert "epoch 1: accuracy 0." in shown.out


@pytest.mark.parametrize(
    "options, message",
    [
        ({"train_data": []}, "at least batch_size = 32 items, got 0"),
        ({"batch_size": 300}, "at least batch_size = 300 items, got 256"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"accumulate": 3}, "multiple of processes x accumulate = 1 x 3, got 32"),
        ({"ema_decay": 1.0}, r"ema_decay must be in \[0, 1\), got 1.0"),
        ({"best": "AP"}, r"best must be a metric of evaluate: \['accuracy'\], got 'AP'"),
        ({"best": "accuracy", "evaluate": None, "val_data": None}, "best needs evaluate"),
        ({"evaluate": None}, "val_data needs evaluate"),
        ({"optimizer": {"left": 1}}, "it names none: give one callable"),
    ],
)
def test_errors(digits, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        digits.train(tmp_path, **options)


def test_error_for_a_stream(digits, tmp_path):
    with pytest.raises(TypeError, match=r"train_data must be a map-style dataset.*generator"):
        digits.train(tmp_path, train_data=(item for item in [1]))


def test_error_for_a_loss_that_is_no_dict(digits, tmp_path, monkeypatch):
    monkeypatch.setattr(digits.Classifier, "loss", lambda self, output, targets: torch.zeros(()))
    with pytest.raises(TypeError, match=r"loss of Classifier must return a dict.*got tensor\(0"):
        digits.train(tmp_path)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_diverged(digits, tmp_path, monkeypatch, bad):
    loss = digits.Classifier.loss

    def breaks(self, output, targets):
        terms = loss(self, output, targets)
        return {**terms, "parity": terms["parity"] * bad} if self.batches == 11 else terms

    monkeypatch.setattr(digits.Classifier, "loss", breaks)
    with pytest.raises(ValueError, match=f"parity is {bad} in epoch 2, step 11: training has div"):
        digits.train(tmp_path)
    # What was saved is from before.
    assert torch.load(tmp_path / "last.pt", weights_only=True)["position"] == (1, 0)
