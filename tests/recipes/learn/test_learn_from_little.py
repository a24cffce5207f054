"""The recipes of learning from little data: their pieces fit, and what they compare is fair.

The levels that docs/learn_from_little.md states take minutes to reach; here each runs a little.
"""

import pytest
import torch
from safetensors.torch import load_file

from fastcv.learn import History
from fastcv.recipes.learn import _small, distill, self_train, transfer


@pytest.fixture(autouse=True)
def quick_curves(monkeypatch):
    monkeypatch.setattr(History, "draw", lambda self, path: path.touch())


def test_scanned_digits():
    data, test = _small.scanned_digits("train"), _small.scanned_digits("test")
    assert (len(data), len(test)) == (1297, 500)
    assert data.images.shape[1:] == (3, 16, 16) and data.images.max() <= 1
    few = _small.few_of_each(data, 6, seed=0)
    assert torch.tensor([data[i][1] for i in few]).bincount().tolist() == [6] * 10
    assert few != _small.few_of_each(data, 6, seed=1)


def test_digits_on_photographs():
    data = _small.digits_on_photographs("test", 40, (7, 2))
    assert data.images.shape[1:] == (3, 24, 24)
    assert data.classes == ("7", "2") and set(data.labels) == {0, 1}


@pytest.mark.slow
def test_distill(tmp_path, monkeypatch):
    monkeypatch.setattr(distill, "TEACHER_WIDTH", 8)
    monkeypatch.setattr(distill, "TEACHER_EPOCHS", 2)
    found = distill.train(tmp_path, epochs=20, device="cpu")
    assert list(found) == ["teacher acc@1", "alone acc@1", "distilled acc@1"]
    assert list(found) == list(distill.RECIPE.level.metrics)
    assert found["teacher acc@1"] > 0.7
    assert min(found.values()) > 0.3  # of ten classes
    weights = tmp_path / "distilled" / "student.safetensors"
    again = distill.evaluate(weights, device="cpu")
    assert again["acc@1"] == found["distilled acc@1"]
    # Both students began alike and saw the same images in the same order.
    a, b = ((tmp_path / name / "history.csv").read_text() for name in ("alone", "distilled"))
    assert a.count("\n") == b.count("\n") == 1 + 20 * 5


@pytest.mark.slow
def test_self_train(tmp_path, monkeypatch):
    monkeypatch.setattr(self_train, "ROUNDS", 1)
    monkeypatch.setattr(self_train, "TEACHER_EPOCHS", 30)
    found = self_train.train(tmp_path, epochs=2, device="cpu")
    assert list(found) == ["labels only acc@1", "round 1 acc@1"]
    assert set(found) < set(self_train.RECIPE.level.metrics)  # of both rounds
    assert min(found.values()) > 0.5
    again = self_train.evaluate(tmp_path / "student.safetensors", device="cpu")
    assert again["acc@1"] == found["round 1 acc@1"]


@pytest.mark.slow
def test_transfer(tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "LENGTHS", {"source": 200, "target": 200, "test": 60})
    monkeypatch.setattr(transfer, "SOURCE_EPOCHS", 1)
    monkeypatch.setattr(transfer, "WIDTH", 4)
    found = transfer.train(tmp_path, epochs=1, device="cpu")
    assert list(found) == ["from nothing acc@1", "new head only acc@1", "fine-tuned acc@1"]
    assert list(found) == list(transfer.RECIPE.level.metrics)
    weights = tmp_path / "fine-tuned" / "model.safetensors"
    assert transfer.evaluate(weights, device="cpu")["acc@1"] == found["fine-tuned acc@1"]
    # The body came from the source: after few steps it is near to it, and not what it was at first.
    source, moved = load_file(tmp_path / "source" / "model.safetensors"), load_file(weights)
    scratch = load_file(tmp_path / "from_nothing" / "model.safetensors")
    frozen = load_file(tmp_path / "new_head_only" / "model.safetensors")
    assert all(torch.equal(frozen[k], v) for k, v in source.items() if not k.startswith("fc."))
    name = "blocks.2.conv2.weight"
    assert (moved[name] - source[name]).norm() < 0.5 * (scratch[name] - source[name]).norm()
    assert not torch.equal(moved[name], source[name])


def test_no_weights_ship():
    with pytest.raises(ValueError, match="no weights of this recipe ship: train first"):
        self_train.evaluate(device="cpu")
