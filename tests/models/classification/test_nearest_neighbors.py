"""Nearest neighbours against scikit-learn's."""

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neighbors import NearestNeighbors as Peer

from fastcv.models import create_model
from fastcv.models.classification import nearest_neighbors
from fastcv.models.classification.nearest_neighbors import NearestNeighbors


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("blocks", [(1024, 4096), (7, 50)])
def test_same_neighbours_as_scikit_learn(metric, blocks, monkeypatch):
    monkeypatch.setattr(nearest_neighbors, "QUERIES", blocks[0])
    monkeypatch.setattr(nearest_neighbors, "ROWS", blocks[1])
    torch.manual_seed(0)
    database, queries = torch.randn(330, 24) + 5, torch.randn(40, 24) + 5
    model = NearestNeighbors(metric=metric).remember(database, torch.zeros(330, dtype=torch.int64))
    peer = Peer(metric={"l2": "euclidean"}.get(metric, metric), algorithm="brute")
    peer.fit(database.double().numpy())
    for k in (1, 60, 330):
        found = model.nearest(queries, k)
        distances, indices = peer.kneighbors(queries.double().numpy(), k)
        assert torch.equal(found.indices, torch.tensor(indices))
        torch.testing.assert_close(found.distances, torch.tensor(distances).float())
    found = model.nearest(database.double(), 1)
    assert torch.equal(found.indices[:, 0], torch.arange(330))
    torch.testing.assert_close(found.distances, torch.zeros(330, 1).double(), rtol=0, atol=1e-6)


def test_same_votes_as_scikit_learn_on_digits():
    data = load_digits()
    # A little noise, for without it distances are equal now and then, and either may come first.
    torch.manual_seed(0)
    images = torch.tensor(data.images)[:, None] / 16 + torch.rand(1797, 1, 8, 8) * 1e-3
    labels = torch.tensor(data.target)
    model = NearestNeighbors(k=4).remember(images[:1300], labels[:1300])
    peer = KNeighborsClassifier(4, algorithm="brute")
    peer.fit(images[:1300].flatten(1).numpy(), data.target[:1300])
    logits = model(images[1300:])
    want = torch.tensor(peer.predict_proba(images[1300:].flatten(1).numpy())).float()
    torch.testing.assert_close(logits.softmax(1), want)
    assert logits.argmax(1).tolist() == peer.predict(images[1300:].flatten(1).numpy()).tolist()
    assert (logits.argmax(1) == labels[1300:]).float().mean() > 0.95


def test_features_of_a_model(tmp_path):
    torch.manual_seed(0)
    network = create_model("resnet18", width=4, num_classes=8)
    network.preprocessing = {**network.preprocessing, "resize": 40, "crop": 32}
    model = NearestNeighbors(k=1, features=network)
    pictures = [torch.rand(3, 40 + i, 50) for i in range(6)]
    labels = torch.tensor([0, 1, 2, 2, 1, 0])
    batch = model.prepare(pictures)
    assert torch.equal(batch, network.prepare(pictures))
    model.train()
    model.remember(batch, labels, classes=("bee", "cat", "dog"), batch_size=4)
    assert not network.training and not any(p.requires_grad for p in network.parameters())
    with torch.no_grad():
        torch.testing.assert_close(model.database, network(batch))
    predicted = model.predict(pictures, batch_size=3)
    assert [s.top(1)[0] for s in predicted] == [(model.classes[i], 1.0) for i in labels]
    torch.save(model.state_dict(), tmp_path / "database.pth")
    again = NearestNeighbors(k=1, features=create_model("resnet18", width=4, num_classes=8))
    again.load_state_dict(torch.load(tmp_path / "database.pth"))
    assert torch.equal(again(batch), model(batch))


def test_pixels_of_pictures():
    dark, light = torch.zeros(1, 3, 32, 32), torch.ones(1, 3, 32, 32)
    model = NearestNeighbors(k=1).remember(torch.cat([dark, light]), torch.tensor([0, 1]))
    predicted = model.predict([torch.full((1, 5, 7), 0.2), torch.full((3, 40, 1), 0.9)])
    assert [s.top(1) for s in predicted] == [[("class 0", 1.0)], [("class 1", 1.0)]]


def test_errors():
    points, labels = torch.rand(4, 3), torch.tensor([0, 1, 1, 0])
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        NearestNeighbors(0)
    with pytest.raises(ValueError, match="metric must be 'l2' or 'cosine', got 'l1'"):
        NearestNeighbors(metric="l1")
    with pytest.raises(ValueError, match=r"int64 \[4\] of one image at least, got torch.int64 \[3"):
        NearestNeighbors().remember(points, labels[:3])
    with pytest.raises(ValueError, match="labels must be 0 to 0, got 0 to 1"):
        NearestNeighbors().remember(points, labels, classes=("cat",))
    model = NearestNeighbors(k=5).remember(points, labels)
    with pytest.raises(ValueError, match="k must be 1 to the 4 of the database, got 5"):
        model(points)
    with pytest.raises(ValueError, match="vectors of 3 values, as the database has, got 2"):
        model.nearest(points[:, :2], 1)
