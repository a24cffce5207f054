"""Accuracy, confusion and calibration from their definitions."""

import pytest
import torch
from PIL import Image
from sklearn.metrics import confusion_matrix, log_loss, top_k_accuracy_score

from fastcv.draw import draw_confusion, draw_reliability
from fastcv.metrics import ClassificationMetrics, evaluate_classifier
from fastcv.models import ImageModel, create_model
from fastcv.results import Classification


def test_by_hand():
    metrics = ClassificationMetrics(2)
    scores = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.35, 0.65], [0.45, 0.55]])
    metrics.add(scores, torch.tensor([0, 1, 1, 1]))
    found = metrics.compute()
    assert found["acc@1"] == 0.75 and "acc@5" not in found
    assert found["confusion"] == [[1, 0], [1, 2]]
    assert found["acc@1_by_class"] == pytest.approx([1, 2 / 3])
    # Each in a bin of its own: |1 - 0.9|, |0 - 0.8|, |1 - 0.65|, |1 - 0.55|, over four.
    assert found["ece"] == pytest.approx((0.1 + 0.8 + 0.35 + 0.45) / 4)
    assert sum(found["reliability"]["count"]) == 4


def test_against_scikit_learn_in_any_batches():
    generator = torch.Generator().manual_seed(0)
    scores = (2 * torch.randn(300, 9, generator=generator)).double().softmax(1)
    labels = torch.randint(9, (300,), generator=generator)
    for batch in (300, 7):
        metrics = ClassificationMetrics(9)
        for start in range(0, 300, batch):
            metrics.add(scores[start : start + batch], labels[start : start + batch])
        found = metrics.compute()
        assert found["confusion"] == confusion_matrix(labels, scores.argmax(1)).tolist()
        assert found["acc@1"] == pytest.approx(top_k_accuracy_score(labels, scores, k=1))
        assert found["acc@5"] == pytest.approx(top_k_accuracy_score(labels, scores, k=5))
        assert found["log_loss"] == pytest.approx(log_loss(labels, scores, labels=range(9)))
        assert found["ece"] == pytest.approx(slow_ece(scores, labels))


def slow_ece(scores, labels):
    """The paper's formula, bin by bin."""
    confidence, predicted = scores.max(1)
    total = 0.0
    for m in range(1, 16):
        inside = (confidence > (m - 1) / 15) & (confidence <= m / 15)
        if inside.any():
            right = (predicted == labels)[inside].double().mean()
            total += inside.sum() / len(labels) * (right - confidence[inside].mean()).abs()
    return float(total)


def test_calibrated_and_not():
    """Right with the probability that is said, and always sure of it."""
    generator = torch.Generator().manual_seed(0)
    p = 0.5 + 0.5 * torch.rand(20000, generator=generator)
    labels = (torch.rand(20000, generator=generator) > p).long()
    honest, boastful = ClassificationMetrics(2), ClassificationMetrics(2)
    honest.add(torch.stack([p, 1 - p], 1), labels)
    boastful.add(torch.tensor([[1.0, 0.0]]).expand(20000, 2), labels)
    assert honest.compute()["ece"] < 0.02
    assert boastful.compute()["ece"] == pytest.approx(float(labels.double().mean()))
    assert boastful.compute()["log_loss"] < 100  # sure and wrong is no infinity


class Says(ImageModel):
    """Reads its answer off the first pixel."""

    classes = tuple("abcdefg")

    def __init__(self):
        super().__init__()
        self.most = 0

    def forward(self, images):
        self.most = max(self.most, len(images))
        return images

    def postprocess(self, images):
        return [
            Classification(torch.eye(7)[int(image[0, 0, 0] * 10)], self.classes) for image in images
        ]


def test_evaluate_classifier():
    predicted, labels = [0, 1, 2, 2, 6], [0, 1, 2, 3, 6]
    sizes = [(3, 4 + i, 5) for i in range(5)]
    images = [torch.full(size, s / 10 + 0.05) for size, s in zip(sizes, predicted, strict=True)]
    model = Says()
    found = evaluate_classifier(model, list(zip(images, labels, strict=True)), batch_size=2)
    assert found["acc@1"] == 0.8 and found["confusion"][3][2] == 1
    assert found["acc@1_by_class"] == [1, 1, 1, 0, None, None, 1]
    assert model.most == 2  # images in memory


def test_a_detector_is_no_classifier():
    model = create_model("fasterrcnn_resnet18_fpn", num_classes=2, width=4, min_size=32)
    with pytest.raises(ValueError, match="must be a classifier: FasterRCNN gives Detections"):
        evaluate_classifier(model, [(torch.rand(3, 32, 32), 0)])


def test_errors():
    metrics = ClassificationMetrics(3)
    with pytest.raises(ValueError, match="no images"):
        metrics.compute()
    with pytest.raises(ValueError, match=r"scores must be \[2, 3\], got \[2, 4\]"):
        metrics.add(torch.rand(2, 4), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="labels must be 0 to 2, got 0 to 3"):
        metrics.add(torch.rand(2, 3), torch.tensor([0, 3]))


def test_pictures(tmp_path):
    metrics = ClassificationMetrics(3)
    metrics.add(torch.rand(50, 3).softmax(1), torch.randint(3, (50,)))
    found = metrics.compute()
    draw_confusion(found["confusion"], ("ant", "bee", "cat"), tmp_path / "confusion.png")
    draw_reliability(found, tmp_path / "reliability.png")
    for name in ("confusion.png", "reliability.png"):
        assert len(Image.open(tmp_path / name).convert("L").getcolors()) > 20
    with pytest.raises(ValueError, match=r"confusion must be \[2, 2\], as classes, got \[3, 3\]"):
        draw_confusion(found["confusion"], ("ant", "bee"), tmp_path / "x.png")
