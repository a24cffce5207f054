"""The one-layer classifier: against scikit-learn's, trained by fit, on features."""

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch.utils.data import TensorDataset

from fastcv.learn import fit
from fastcv.models import create_model
from fastcv.models.classification.linear import LinearClassifier


def digits():
    data = load_digits()
    images = torch.tensor(data.images / 16, dtype=torch.float32)[:, None]
    return images, torch.tensor(data.target)


def test_fit_reaches_logistic_regression(tmp_path):
    images, labels = digits()
    torch.manual_seed(0)
    model = LinearClassifier(64)
    fit(
        model,
        TensorDataset(images[:1300], labels[:1300]),
        epochs=10,
        batch_size=50,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.5, momentum=0.9),
        out=tmp_path,
        devices="cpu",
        progress=False,
        tensorboard=False,
    )
    right = (model(images[1300:]).argmax(1) == labels[1300:]).float().mean()
    peer = LogisticRegression(C=1e3, max_iter=300).fit(images[:1300].flatten(1), labels[:1300])
    assert right > peer.score(images[1300:].flatten(1), labels[1300:]) - 0.02
    assert right > 0.87


def test_gradient_by_hand():
    torch.manual_seed(0)
    model, x, labels = LinearClassifier(6, num_classes=3), torch.rand(4, 6), torch.arange(4) % 3
    model.loss(model(x), labels)["cross_entropy"].backward()
    # Of softmax and cross-entropy together: what it says minus what is right.
    wrong = (x @ model.fc.weight.T + model.fc.bias).softmax(1) - torch.eye(3)[labels]
    torch.testing.assert_close(model.fc.weight.grad, (wrong.T @ x / 4).detach())
    torch.testing.assert_close(model.fc.bias.grad, wrong.mean(0).detach())


def test_on_features_of_a_model():
    torch.manual_seed(0)
    network = create_model("resnet18", width=4, num_classes=8)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    model = LinearClassifier(8, num_classes=2, features=network).train()
    model.loss(model(torch.rand(2, 3, 32, 32)), torch.tensor([0, 1]))["cross_entropy"].backward()
    assert [key for key, p in model.named_parameters() if p.grad is not None] == [
        "fc.weight",
        "fc.bias",
    ]
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())
    assert model.preprocessing == network.preprocessing
    function = LinearClassifier(3, features=lambda images: images.mean((2, 3)))
    assert function(torch.rand(5, 3, 9, 7)).shape == (5, 10)


def test_pixels_of_pictures():
    model = create_model("linear", num_classes=4, image_size=8)
    assert sum(p.numel() for p in model.parameters()) == 4 * (3 * 8 * 8 + 1)
    assert len(model.predict([torch.rand(3, 20, 30), torch.rand(1, 1, 9)])) == 2
    with pytest.raises(ValueError, match=r"in_features=192 values, got 27, of images \[1, 3, 3"):
        model(torch.rand(1, 3, 3, 3))
