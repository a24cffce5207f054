"""Sheets of samples: from the same noise after each epoch, as evaluate sees the model."""

import numpy as np
import pytest
import torch
from PIL import Image

from fastcv.learn import History, fit
from fastcv.learn._samples import write_sheet

pytestmark = pytest.mark.usefixtures("quick_curves")


def moved_noise(model):
    """Nine points as pictures of 2 pixels."""
    return model(torch.randn(9, 2)).sigmoid().view(9, 1, 1, 2)


def test_a_sheet_after_each_epoch(digits, tmp_path):
    seen = []

    def samples(model):
        seen.append((model.training, torch.is_grad_enabled(), torch.randn(3).tolist()))
        seen[-1] += (model.mover.weight.clone(),)
        return moved_noise(model)

    model, history = digits.train_toy(tmp_path, samples=samples, ema_decay=0.9)
    assert history.samples == ["samples/epoch_0001.png", "samples/epoch_0002.png"]
    first, second = ((tmp_path / path).read_bytes() for path in history.samples)
    assert first.startswith(b"\x89PNG") and first != second
    assert [entry[:2] for entry in seen] == [(False, False)] * 2
    assert seen[0][2] == seen[1][2]  # the same noise
    assert torch.equal(seen[1][3], model.mover.weight)  # the average, which fit leaves


def test_same_weights_same_sheet(digits, tmp_path):
    history = fit(
        digits.Toy(),
        digits.toy_data(),
        epochs=2,
        batch_size=8,
        optimizer=dict.fromkeys(("mover", "judge"), lambda p: torch.optim.SGD(p, lr=0.0)),
        samples=moved_noise,
        out=tmp_path,
        devices="cpu",
        progress=False,
        tensorboard=False,
    )
    first, second = ((tmp_path / path).read_bytes() for path in history.samples)
    assert first == second


def test_changes_nothing_else_and_goes_on(digits, tmp_path):
    plain, without = digits.train_toy(tmp_path / "without")
    _, straight = digits.train_toy(tmp_path / "straight", samples=moved_noise)
    digits.train_toy(tmp_path / "twice", samples=moved_noise, epochs=1)
    model, twice = digits.train_toy(tmp_path / "twice", samples=moved_noise)
    assert without.steps == straight.steps == twice.steps
    assert straight.samples == twice.samples and without.samples == []
    for path in straight.samples:
        assert (tmp_path / "twice" / path).read_bytes() == (
            tmp_path / "straight" / path
        ).read_bytes()
    for a, b in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(a, b)


def test_mistake_in_samples_costs_no_epoch(digits, tmp_path):
    def mistake(model):
        raise KeyError("noise")

    with pytest.raises(KeyError):
        digits.train_toy(tmp_path, samples=mistake)
    assert torch.load(tmp_path / "last.pt", weights_only=True)["position"] == (0, 4)
    _, history = digits.train_toy(tmp_path, samples=moved_noise)
    assert history.samples == ["samples/epoch_0001.png", "samples/epoch_0002.png"]


def test_sheet(tmp_path):
    images = torch.rand(5, 3, 4, 6)
    write_sheet(images, tmp_path / "a.png")
    sheet = np.asarray(Image.open(tmp_path / "a.png"))
    assert sheet.shape == (2 * 6 + 2, 3 * 8 + 2, 3)  # two rows of three
    for i, image in enumerate(images):
        top, left = 2 + i // 3 * 6, 2 + i % 3 * 8
        expected = (image * 255).round().permute(1, 2, 0).numpy()
        assert (sheet[top : top + 4, left : left + 6] == expected).all()
    assert (sheet[8:12, 18:24] == 255).all() and (sheet[:2] == 255).all()

    grey = torch.tensor([-1.0, 0.2, 2.0]).view(1, 1, 1, 3)
    write_sheet(grey, tmp_path / "b.png")
    assert np.asarray(Image.open(tmp_path / "b.png"))[2, 2:5].tolist() == [
        [0, 0, 0],
        [51, 51, 51],
        [255, 255, 255],
    ]
    picture = Image.new("RGB", (7, 5), (1, 2, 3))
    write_sheet(picture, tmp_path / "c.png")
    assert (np.asarray(Image.open(tmp_path / "c.png")) == np.asarray(picture)).all()


@pytest.mark.parametrize(
    "samples, got", [(torch.zeros(2, 5, 3, 3), r"a tensor \[2, 5, 3, 3\]"), ([1], "list")]
)
def test_error(tmp_path, samples, got):
    with pytest.raises(TypeError, match=f"must return a PIL image or a tensor.*got {got}"):
        write_sheet(samples, tmp_path / "a.png")


def test_history_from_before_there_were_samples():
    state = History([{"epoch": 1, "step": 1, "loss": 1.0}]).state()
    del state["samples"]
    assert History.from_state(state).samples == []
