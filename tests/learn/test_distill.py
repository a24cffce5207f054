"""Distillation from its formula; the teacher stays as it is."""

import copy
import math

import pytest
import torch
from torch.nn import functional as F

from fastcv.learn import Distillation, distillation_loss, fit, normalised_batches
from fastcv.models import create_model

pytestmark = pytest.mark.usefixtures("quick_curves")


def test_softened_softmax():
    """The example of the lecture: (5, 10) at temperatures 1 and 100."""
    logits = torch.tensor([5.0, 10.0])
    torch.testing.assert_close(logits.softmax(0), torch.tensor([0.0067, 0.9933]), atol=5e-5, rtol=0)
    softened = (logits / 100).softmax(0)
    torch.testing.assert_close(softened, torch.tensor([0.4875, 0.5125]), atol=5e-5, rtol=0)
    # The loss of a student that finds both alike is the divergence of just these.
    expected = sum(p * math.log(p / 0.5) for p in softened.tolist()) * 100**2
    found = distillation_loss(torch.zeros(1, 2), logits[None], temperature=100)
    assert float(found) == pytest.approx(expected, rel=1e-3)


def test_by_hand():
    student = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    teacher = torch.tensor([[math.log(3.0), 0.0], [1.0, 0.0]])
    expected = 0.5 * (0.75 * math.log(1.5) + 0.25 * math.log(0.5))  # the second pair agrees
    assert float(distillation_loss(student, teacher)) == pytest.approx(expected, rel=1e-5)


def test_gradient_keeps_its_size():
    """With T^2 it tends to (student - teacher) / C for centred logits, without it to 0."""
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 4, 6, generator=generator, dtype=torch.float64)
    student, teacher = (x - x.mean(1, keepdim=True) for x in (student, teacher))
    student.requires_grad_()
    distillation_loss(student, teacher, temperature=1000.0).backward()
    expected = (student.detach() - teacher) / 6 / 4
    torch.testing.assert_close(student.grad, expected, atol=1e-3, rtol=0)


def networks():
    torch.manual_seed(0)
    teacher = create_model("resnet18", num_classes=3, width=4)
    teacher(torch.rand(4, 3, 32, 32))
    torch.manual_seed(1)
    return teacher, create_model("resnet18", num_classes=3, width=2)


def test_terms():
    teacher, student = networks()
    model = Distillation(teacher, student, temperature=4.0, label_weight=0.25)
    images, labels = torch.rand(4, 3, 32, 32), torch.tensor([0, 1, 2, 2])
    output = model(images)
    losses = model.loss(output, labels)
    said, truth = output
    torch.testing.assert_close(truth, copy.deepcopy(teacher).eval()(images))
    target = (truth / 4).softmax(1)
    cross = F.cross_entropy(said / 4, target) - F.cross_entropy(truth / 4, target)
    torch.testing.assert_close(losses["distillation"], 0.75 * 16 * cross)
    torch.testing.assert_close(losses["student"], 0.25 * F.cross_entropy(said, labels))
    assert torch.equal(model.eval()(images), student.eval()(images))


def test_predicts_as_its_student():
    teacher, student = networks()
    student.classes = ("ant", "bee", "cat")
    student.preprocessing = {**student.preprocessing, "resize": 32, "crop": 32}
    image = torch.rand(3, 40, 32)
    (found,), (expected,) = (m.predict(image) for m in (Distillation(teacher, student), student))
    assert torch.equal(found.scores, expected.scores) and found.classes == student.classes


@pytest.mark.parametrize("label_weight", [0.0, 0.3])
def test_fit(tmp_path, label_weight):
    """Without labels the targets may be anything. The teacher stays to the bit, and a stopped run
    goes on as if it had not been."""
    images = torch.rand(16, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    targets = torch.arange(16) % 3 if label_weight else torch.full((16,), math.nan)
    data = torch.utils.data.TensorDataset(images, targets)

    def run(folder, epochs):
        teacher, student = networks()
        before = copy.deepcopy(teacher.state_dict())
        model = Distillation(teacher, student, temperature=2.0, label_weight=label_weight)
        history = fit(
            model,
            data,
            epochs=epochs,
            batch_size=8,
            optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=0.02),
            collate_fn=normalised_batches(model),
            out=folder,
            devices="cpu",
            progress=False,
            tensorboard=False,
        )
        assert all(torch.equal(v, before[k]) for k, v in teacher.state_dict().items())
        return history, student.state_dict()

    history, whole = run(tmp_path / "whole", 6)
    losses = [row["distillation"] for row in history.steps]
    assert sum(losses[-2:]) < 0.5 * sum(losses[:2])
    assert ("student" in history.steps[0]) == (label_weight > 0)
    run(tmp_path / "parts", 2)
    again, parts = run(tmp_path / "parts", 6)
    assert again.steps == history.steps
    assert all(torch.equal(v, whole[k]) for k, v in parts.items())


def test_errors():
    teacher, student = networks()
    with pytest.raises(ValueError, match=r"label_weight must be in \[0, 1\], got 2"):
        Distillation(teacher, student, label_weight=2)
    with pytest.raises(ValueError, match="temperature must be above 0, got 0"):
        Distillation(teacher, student, temperature=0)
    with pytest.raises(ValueError, match="the same classes, got 3 and 4"):
        Distillation(teacher, create_model("resnet18", num_classes=4, width=2))
    with pytest.raises(ValueError, match=r"one shape, got \[2, 3\] and \[2, 4\]"):
        distillation_loss(torch.rand(2, 3), torch.rand(2, 4))
