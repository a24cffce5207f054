"""The ResNet classifiers."""

import pytest
import torch
from torch.nn import functional as F

from fastcv.models import create_model
from fastcv.models._registry import find_model

COUNTS = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}


@pytest.mark.parametrize("depth", COUNTS)
def test_parameters(depth):
    with torch.device("meta"):
        model = create_model(f"resnet{depth}")
    assert sum(p.numel() for p in model.parameters()) == COUNTS[depth]
    assert model.classes[281] == "tabby" and len(model.classes) == 1000


@pytest.mark.parametrize("depth", COUNTS)
def test_published_weights(depth):
    weights = find_model(f"resnet{depth}").weights
    assert [w.name for w in weights] == ["IMAGENET1K_V1", "IMAGENET1K_V2"][: len(weights)]
    for w in weights:
        assert w.url == f"https://download.pytorch.org/models/resnet{depth}-{w.sha256}.pth"
        assert len(w.sha256) == 8 and len(w.classes) == 1000
        assert 69 < w.metric["acc@1"] < w.metric["acc@5"] < 97


def test_loss_is_the_cross_entropy():
    model = create_model("resnet18", num_classes=4, width=4)
    logits, labels = model(torch.rand(3, 3, 32, 32)), torch.tensor([0, 3, 2])
    losses = model.loss(logits, labels)
    want = -sum(logits[i].log_softmax(0)[label] for i, label in enumerate(labels)) / 3
    torch.testing.assert_close(losses["cross_entropy"], want)
    with pytest.raises(ValueError, match=r"int64 \[3\], got torch.int64 \[2\]"):
        model.loss(logits, labels[:2])
    with pytest.raises(ValueError, match=r"labels 0 to 3, got \[0, 4, 2\]"):
        model.loss(logits, torch.tensor([0, 4, 2]))


def test_learns_two_kinds_of_stripes():
    torch.manual_seed(0)
    wave = torch.arange(32).remainder(4).lt(2).float()
    images = torch.stack([wave.expand(3, 32, 32), wave[:, None].expand(3, 32, 32)] * 4)
    images = images + torch.randn(images.shape) * 0.2
    labels = torch.tensor([0, 1] * 4)
    model = create_model("resnet18", num_classes=2, width=8)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    for _ in range(15):
        optimizer.zero_grad()
        sum(model.loss(model(images), labels).values()).backward()
        optimizer.step()
    assert (model(images).argmax(1) == labels).all()


def test_predict_says_what_the_network_says():
    torch.manual_seed(0)
    model = create_model("resnet18", num_classes=3, width=4).eval()
    image = torch.rand(3, 40, 60)
    model.preprocessing = {**model.preprocessing, "resize": 40, "crop": 32}
    (result,) = model.predict(image)
    mean, std = (torch.tensor(model.preprocessing[k])[:, None, None] for k in ("mean", "std"))
    middle = (image[:, 4:36, 14:46] - mean) / std
    with torch.no_grad():
        want = F.softmax(model(middle[None])[0], dim=0)
    torch.testing.assert_close(result.scores, want)
    assert result.classes == ("class 0", "class 1", "class 2")
    with pytest.raises(TypeError, match="does not take 'score_threshold'"):
        model.predict(image, score_threshold=0.5)
