"""Pseudo-labels by hand; rounds that resume; noise that acts in training only."""

import copy
import functools
import sys

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from fastcv.learn import (
    PseudoLabelled,
    add_noise,
    confident_and_balanced,
    normalised_batches,
    self_train,
)
from fastcv.metrics import evaluate_classifier
from fastcv.models import create_model
from fastcv.models.classification._classifier import Classifier
from fastcv.nn.backbones.resnet import BasicBlock

pytestmark = pytest.mark.usefixtures("quick_curves")

SCORES = torch.tensor(
    [[0.5, 0.3, 0.2], [0.1, 0.9, 0.0], [0.7, 0.2, 0.1], [0.2, 0.6, 0.2], [0.4, 0.3, 0.3]]
)


def test_confident_only():
    assert confident_and_balanced(SCORES, threshold=0.5).tolist() == [2, 0, 1, 3]
    assert confident_and_balanced(SCORES, threshold=0.65).tolist() == [2, 1]
    assert confident_and_balanced(SCORES, threshold=0.95).tolist() == []


def test_balanced():
    found = confident_and_balanced(SCORES, threshold=0.0, per_class=2)
    assert found.tolist() == [2, 0, 1, 3]  # the least sure of class 0 is left out; class 2 is empty
    found = confident_and_balanced(SCORES, threshold=0.65, per_class=3)
    assert found.tolist() == [2, 2, 2, 1, 1, 1]  # one of each, repeated


@pytest.mark.parametrize("soft", [True, False])
def test_dataset(soft):
    labelled = [(torch.zeros(1), 2)]
    unlabelled = [(torch.full((1,), float(i)), None) for i in range(5)]
    data = PseudoLabelled(labelled, unlabelled, SCORES, torch.tensor([3, 3, 1]), soft=soft)
    images, targets = zip(*data, strict=True)
    assert [int(image) for image in images] == [0, 3, 3, 1]
    assert targets[0].tolist() == [0, 0, 1]
    expected = SCORES[3] if soft else torch.tensor([0.0, 1.0, 0.0])
    assert torch.equal(targets[1], expected) and torch.equal(targets[2], expected)
    with pytest.raises(IndexError):
        data[4]


class Blocks(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(BasicBlock(4, 4), BasicBlock(4, 4))
        self.fc = nn.Linear(4, 400)

    def forward(self, x):
        return self.fc(self.blocks(x).mean((2, 3)))


def test_noise():
    torch.manual_seed(0)
    plain = Blocks()
    noisy = copy.deepcopy(plain)
    add_noise(noisy, dropout=0.5, stochastic_depth=0.4)
    x = torch.rand(500, 4, 3, 3)
    assert noisy.state_dict().keys() == plain.state_dict().keys()
    assert torch.equal(noisy.eval()(x), plain.eval()(x))
    # Norms at rest, and a residual that is never zero: what is left out is seen. 0.2, then 0.4.
    for block, share in zip(noisy.blocks, (0.2, 0.4), strict=True):
        block.bn2.train()
        nn.init.ones_(block.bn2.bias)
        out = block(x)
        block.bn2.eval()
        left_out = (out == x).flatten(1).all(1).float().mean()
        assert abs(left_out - share) < 0.06
    noisy.fc.train()
    nn.init.ones_(noisy.fc.weight), nn.init.zeros_(noisy.fc.bias)
    out = noisy.fc(torch.ones(300, 4))[:, 0]  # twice the number of features that stay
    assert set(out.tolist()) == {0.0, 2.0, 4.0, 6.0, 8.0} and abs(out.mean() - 4) < 0.4


def test_noise_errors():
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\), got 1"):
        add_noise(Blocks(), dropout=1)
    with pytest.raises(ValueError, match="Conv2d has no linear layer"):
        add_noise(nn.Conv2d(1, 1, 1))


class Tiny(Classifier):
    def __init__(self, width):
        super().__init__()
        self.classes = ("dark", "light")
        self.preprocessing = {**self.preprocessing, "resize": 8, "crop": 8}
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(192, width), nn.ReLU(), nn.Dropout(0.2), nn.Linear(width, 2)
        )

    def forward(self, images):
        return self.layers(images)


def squares(length, seed):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(length) % 2
    noise = torch.rand(length, 3, 8, 8, generator=generator)
    return torch.utils.data.TensorDataset(0.8 * noise + 0.2 * labels.view(-1, 1, 1, 1), labels)


def make(number, models=None):
    model = Tiny(8 + 4 * number)
    if models is not None:
        models.append(model)
    return model, dict(
        epochs=3,
        batch_size=4,
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=0.01),
        collate_fn=normalised_batches(model),
        devices="cpu",
        tensorboard=False,
    )


def run(out, make=make, **options):
    given = dict(rounds=2, threshold=0.5, per_class=10, out=out, progress=False)
    return self_train(make, squares(8, 0), squares(32, 1), **{**given, **options})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("self")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastcv.learn.History.draw", lambda self, path: path.touch())
        return folder, *run(folder)


def test_rounds(whole):
    folder, model, histories = whole
    assert isinstance(model, Tiny) and model.layers[1].out_features == 16
    # 8 labelled, then 8 and ten of each class with a teacher's label: batches of 4, three passes.
    assert [len(h.steps) for h in histories] == [6, 21, 21]
    assert {f.name for f in folder.iterdir()} == {"round-0", "round-1", "round-2"}
    assert evaluate_classifier(model, squares(40, 2))["acc@1"] > 0.9


class Breaks(Exception):
    pass


@pytest.mark.parametrize("loss_call", [6, 7, 20, 27, 40])  # between rounds and within them
def test_stopped_anywhere_goes_on_as_the_whole(whole, tmp_path, monkeypatch, loss_call):
    loss, calls = Tiny.loss, []

    def breaks(self, output, targets):
        calls.append(1)
        if len(calls) == loss_call + 1:
            raise Breaks
        return loss(self, output, targets)

    with monkeypatch.context() as patch:
        patch.setattr(Tiny, "loss", breaks)
        with pytest.raises(Breaks):
            run(tmp_path, make=saving_each_step)
    model, histories = run(tmp_path, make=saving_each_step)
    assert all(torch.equal(v, whole[1].state_dict()[k]) for k, v in model.state_dict().items())
    assert [h.steps for h in histories] == [h.steps for h in whole[2]]


def saving_each_step(number):
    model, options = make(number)
    return model, {**options, "save_every": 2}


def test_finished_rounds_are_not_run_again(whole, monkeypatch):
    monkeypatch.setattr(Tiny, "loss", None)
    monkeypatch.setattr(sys.modules[self_train.__module__], "predict_scores", None)
    model, _ = run(whole[0])
    assert all(torch.equal(v, whole[1].state_dict()[k]) for k, v in model.state_dict().items())


def test_teacher_sees_images_as_they_are(tmp_path, monkeypatch):
    """Its answers are those of predict, without the noise of its training."""
    models = []
    run(tmp_path, make=functools.partial(make, models=models), rounds=1)
    saved = load_file(tmp_path / "round-1" / "pseudo_labels.safetensors")["scores"]
    images = [image for image, _ in squares(32, 1)]
    expected = torch.stack([found.scores for found in models[0].predict(images, batch_size=64)])
    torch.testing.assert_close(saved, expected)


def test_says_how_many_are_used(tmp_path, capsys):
    run(tmp_path, rounds=1, progress=True)
    assert "round 1: " in capsys.readouterr().out


@pytest.mark.parametrize(
    "options, message",
    [
        ({"rounds": -1}, "rounds must be at least 0, got -1"),
        ({"threshold": 1.5}, r"threshold must be in \[0, 1\], got 1.5"),
    ],
)
def test_errors(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        run(tmp_path, **options)


def test_other_unlabelled_data(whole):
    with pytest.raises(ValueError, match="has answers for 32 images, and unlabelled has 5"):
        self_train(make, squares(8, 0), squares(5, 1), rounds=1, out=whole[0], progress=False)


def test_soft_targets_of_a_classifier():
    """Cross-entropy with probabilities: a one-hot is the label, a blend the blend of both."""
    model = create_model("resnet18", num_classes=3, width=2)
    logits, labels = torch.randn(4, 3), torch.tensor([0, 2, 1, 1])
    one_hot = torch.eye(3)[labels]
    expected = model.loss(logits, labels)["cross_entropy"]
    torch.testing.assert_close(model.loss(logits, one_hot)["cross_entropy"], expected)
    other = model.loss(logits, labels.flip(0))["cross_entropy"]
    blend = 0.25 * one_hot + 0.75 * one_hot.flip(0)
    torch.testing.assert_close(
        model.loss(logits, blend)["cross_entropy"], 0.25 * expected + 0.75 * other
    )
