"""An index over pictures: exact neighbours, of any layer; saved, loaded, and what is refused."""

import json

import numpy as np
import pytest
import sklearn.neighbors
import torch
from PIL import Image
from safetensors.torch import save_file
from small_models import make_small
from torch import nn

from fastcv import explain
from fastcv.explain import Neighbours
from fastcv.images import read_image


def random_pictures(count, side=20, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8)
    return [Image.fromarray(one) for one in pixels]


@pytest.fixture
def folder(tmp_path):
    """Ten pictures of several sizes, and a text."""
    (tmp_path / "photos").mkdir()
    for i in range(10):
        picture = random_pictures(1, 20 + i, seed=i)[0]
        picture.save(tmp_path / "photos" / f"{i}.png")
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    return tmp_path / "photos"


@pytest.fixture(scope="module")
def model():
    return make_small("resnet18")


@pytest.mark.parametrize("metric", ["l2", "cosine"])
@pytest.mark.parametrize("layer", ["auto", "layer2", "layer3.0.conv1", "fc"])
def test_equals_scikit_learn(model, layer, metric):
    images = torch.randn(60, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    database, queries = images[:50], images[50:]
    index = explain.neighbours(model, database, layer=layer, metric=metric, batch_size=16)
    found = index.query(queries, k=7)
    with torch.no_grad():
        kept = {}
        hook = model.get_submodule("layer4" if layer == "auto" else layer).register_forward_hook(
            lambda _m, _i, output: kept.update(output=output.clone())
        )
        model.eval()(images)
        hook.remove()
    features = kept["output"]
    if features.ndim == 4:
        features = features.mean(dim=(2, 3))
    features = features.double().numpy()
    name = {"l2": "euclidean"}.get(metric, metric)
    peer = sklearn.neighbors.NearestNeighbors(n_neighbors=7, metric=name, algorithm="brute")
    distances, indices = peer.fit(features[:50]).kneighbors(features[50:])
    assert (found.indices.numpy() == indices).all()
    # float32 features of other batches differ in the last bits.
    np.testing.assert_allclose(found.distances.numpy(), distances, rtol=1e-3, atol=1e-5)


def test_blocks_make_no_difference(monkeypatch):
    from fastcv.models.classification import nearest_neighbors

    images = torch.rand(41, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    index = explain.neighbours(None, images[:30], batch_size=7)
    whole = index.query(images[30:], k=12)
    monkeypatch.setattr(nearest_neighbors, "QUERIES", 3)
    monkeypatch.setattr(nearest_neighbors, "ROWS", 8)
    parts = index.query(images[30:], k=12, batch_size=4)
    assert torch.equal(whole.indices, parts.indices)
    torch.testing.assert_close(whole.distances, parts.distances)


def test_pixels():
    images = torch.rand(12, 1, 5, 6)
    index = explain.neighbours(None, images)
    assert torch.equal(index.features, images.flatten(1)) and index.layer == "pixels"
    found = index.query(images[3], k=12)
    expected = (images - images[3]).flatten(1).norm(dim=1)
    torch.testing.assert_close(found.distances[0], expected[found.indices[0]], atol=1e-6, rtol=1e-5)
    assert int(found.indices[0, 0]) == 3


def test_a_folder(model, folder, tmp_path):
    index = explain.neighbours(model, folder)
    assert index.paths == [str(folder / f"{i}.png") for i in range(10)]
    assert repr(index) == "Neighbours(10 pictures by resnet18's layer4)"
    found = index.query(folder / "4.png", k=3)
    assert found.paths[0][0] == str(folder / "4.png") and len(found.paths[0]) == 3
    assert float(found.distances[0, 0]) < 1e-4 < float(found.distances[0, 1])
    gallery = found.gallery()
    assert gallery.columns == 4 and gallery.captions[0] == "query  4.png"
    assert gallery.captions[1].endswith("  4.png")
    assert np.array_equal(np.array(gallery.pictures[0]), np.array(gallery.pictures[1]))
    found.save(tmp_path / "found.json")
    (row,) = json.loads((tmp_path / "found.json").read_text())["neighbours"]
    assert row[0]["file"] == str(folder / "4.png") and row[0]["index"] == 4
    found.save(tmp_path / "found.png")
    assert Image.open(tmp_path / "found.png").width > 4 * 320


@pytest.mark.parametrize("broken", ["cut", "text", "empty", "gone"])
def test_one_broken_file_is_skipped_and_told(model, folder, broken):
    path = folder / "6.png"
    if broken == "cut":
        path.write_bytes(path.read_bytes()[:200])
    elif broken == "gone":
        path.unlink()
        path.symlink_to(folder / "nowhere.png")
    else:
        path.write_text("no picture" if broken == "text" else "")
    index = explain.neighbours(model, folder, batch_size=4)
    assert len(index) == 9 and list(index.skipped) == [str(path)]
    assert str(path) in index.skipped[str(path)]
    assert str(path) not in index.paths
    for i in (0, 5, 7, 9):  # those behind are not taken for one another
        assert index.query(folder / f"{i}.png", k=1).paths == [[str(folder / f"{i}.png")]]
    with pytest.raises((ValueError, FileNotFoundError), match=r"6\.png"):
        index.query(path)


def test_all_of_a_batch_are_broken(model, folder):
    for i in range(4):
        (folder / f"{i}.png").write_text("no picture")
    index = explain.neighbours(model, folder, batch_size=2)
    assert len(index) == 6 and len(index.skipped) == 4
    for path in folder.glob("*.png"):
        path.write_text("no picture")
    with pytest.raises(ValueError, match=r"none of 10 pictures can be read: .*0\.png is not an"):
        explain.neighbours(model, folder)


def test_an_empty_folder(model, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"the folder {tmp_path} has no images"):
        explain.neighbours(model, tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no file or folder"):
        explain.neighbours(model, tmp_path / "nowhere")
    for none in ([], torch.empty(0, 3, 8, 8)):
        with pytest.raises(ValueError, match="pictures must be at least one, got none"):
            explain.neighbours(model, none)


class Labelled(torch.utils.data.Dataset):
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        if index >= len(self):
            raise IndexError(index)
        return self.images[index], index % 2


def test_what_a_database_may_be(model, folder):
    """Files, pictures, a data set, uint8 tensors: the same features."""
    paths = [folder / f"{i}.png" for i in range(4)]
    tensors = [read_image(path) for path in paths]
    kinds = [
        paths,
        [str(path) for path in paths],
        [Image.open(path) for path in paths],
        tensors,
        Labelled([tensor / 255 for tensor in tensors]),
    ]
    found = [explain.neighbours(model, kind).features for kind in kinds]
    for features in found[1:]:
        torch.testing.assert_close(features, found[0])
    batch = model.prepare([tensor / 255 for tensor in tensors])
    torch.testing.assert_close(explain.neighbours(model, batch).features, found[0])
    index = explain.neighbours(model, kinds[4])
    assert index.paths is None and index.query(paths[2], k=1).indices.tolist() == [[2]]
    index.query(paths[2], k=2).draw()


def test_a_plain_module():
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))
    data = Labelled(torch.rand(9, 1, 8, 8))
    index = explain.neighbours(net, data, layer="3", batch_size=4)
    torch.testing.assert_close(index.features, net(data.images).detach())
    found = index.query(data.images[:2], k=2)
    assert found.indices[:, 0].tolist() == [0, 1]
    assert len(found.gallery()) == 6 and "Sequential" in repr(index)
    with pytest.raises(TypeError, match="as the forward of Sequential takes them, got str"):
        explain.neighbours(net, [__file__], layer="3")


def test_maps_that_a_function_made():
    """The widest of this segmenter's have no layer's name: each forward finds them anew."""
    model, images = make_small("unet"), torch.randn(5, 3, 64, 64)
    index = explain.neighbours(model, images, batch_size=2)
    assert index.layer == "auto" and len(index) == 5
    assert index.query(images[3:4], k=1).indices.tolist() == [[3]]


def test_saved_and_loaded(model, folder, tmp_path):
    (folder / "1.png").write_text("no picture")
    index = explain.neighbours(model, folder, metric="cosine")
    path = tmp_path / "new" / "index.safetensors"
    index.save(path)
    again = Neighbours.load(path, model)
    assert torch.equal(again.features, index.features)
    assert (again.layer, again.metric, again.paths) == (index.layer, "cosine", index.paths)
    assert again.skipped == index.skipped and list(path.parent.iterdir()) == [path]
    one, other = (i.query(folder / "3.png", k=4) for i in (index, again))
    assert torch.equal(one.indices, other.indices) and one.paths == other.paths
    assert other.draw().size == one.draw().size
    # A picture that has gone since is named when it is drawn, and not before.
    (folder / "3.png").unlink()
    found = again.query(folder / "5.png", k=9)
    with pytest.raises(FileNotFoundError, match=r"there is no image .*3\.png"):
        found.draw()


def test_loaded_without_pictures(model, tmp_path):
    images = torch.randn(6, 3, 64, 64)
    explain.neighbours(model, images).save(tmp_path / "index.safetensors")
    found = Neighbours.load(tmp_path / "index.safetensors", model).query(images[:1], k=2)
    assert found.paths is None and found.indices[0, 0] == 0
    with pytest.raises(ValueError, match=r"Neighbours\.load takes them as pictures="):
        found.draw()
    with pytest.raises(ValueError, match=r"pictures must be the 6 of the index .*, got 5"):
        Neighbours.load(tmp_path / "index.safetensors", model, images[:5])
    Neighbours.load(tmp_path / "index.safetensors", model, images).query(images[:1], 2).draw()


def test_of_another_model(model, tmp_path):
    path = tmp_path / "index.safetensors"
    explain.neighbours(model, torch.randn(3, 3, 64, 64)).save(path)
    with pytest.raises(ValueError, match="was made by resnet18, and model is mobilenet_v2"):
        Neighbours.load(path, make_small("mobilenet_v2"))
    with pytest.raises(ValueError, match="was made by resnet18, and model is pixels"):
        Neighbours.load(path, None)
    other = make_small("resnet18")
    Neighbours.load(path, other)  # the same weights
    other.bn1.running_mean[0] += 1
    with pytest.raises(ValueError, match="was made by resnet18 with other weights: make it anew"):
        Neighbours.load(path, other)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_in_half(dtype, tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).to(dtype)
    path = tmp_path / "index.safetensors"
    explain.neighbours(net, torch.randn(3, 3, 8, 8), layer="2").save(path)
    assert len(Neighbours.load(path, net)) == 3
    net[1].num_batches_tracked += 1
    with pytest.raises(ValueError, match="with other weights"):
        Neighbours.load(path, net)


def test_no_index(model, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no index"):
        Neighbours.load(tmp_path / "none.safetensors", model)
    (tmp_path / "text.safetensors").write_text("no index")
    with pytest.raises(ValueError, match="is no safetensors file"):
        Neighbours.load(tmp_path / "text.safetensors", model)
    for noted in (None, {"kind": "fastcv neighbours"}):
        save_file({"features": torch.rand(2, 2)}, tmp_path / "other.safetensors", noted)
        with pytest.raises(ValueError, match="is no index of neighbours"):
            Neighbours.load(tmp_path / "other.safetensors", model)
    with pytest.raises(ValueError, match=r"path must end in \.safetensors, got 'index\.pt'"):
        explain.neighbours(model, torch.randn(3, 3, 64, 64)).save(tmp_path / "index.pt")


def test_mistakes(model):
    images = torch.randn(4, 3, 64, 64)
    with pytest.raises(ValueError, match=r"no 'layer9': did you mean 'layer"):
        explain.neighbours(model, images, layer="layer9")
    with pytest.raises(ValueError, match="metric must be 'l2' or 'cosine', got 'l1'"):
        explain.neighbours(model, images, metric="l1")
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        explain.neighbours(model, images, batch_size=0)
    with pytest.raises(TypeError, match=r"pictures must be a folder, files, .*, got int"):
        explain.neighbours(model, 3)
    index = explain.neighbours(model, images)
    for k in (0, 5):
        with pytest.raises(ValueError, match=f"k must be 1 to the 4 of the database, got {k}"):
            index.query(images[:1], k=k)
    pixels = explain.neighbours(None, images)
    with pytest.raises(ValueError, match="must give 12288 features, as the database's, got 3072"):
        pixels.query(images[:, :, :32, :32], k=1)
    with pytest.raises(ValueError, match=r"layer '1' must give \[4, \.\.\.\], a row for each"):
        explain.neighbours(nn.Sequential(nn.Flatten(), nn.Flatten(0)), images, layer="1")
