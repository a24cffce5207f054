"""R-CNN: its warp, its SVMs and regressions by their peers, its cache, and that it learns."""

import math

import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC
from torch import nn
from torch.nn import functional as F

import fastcv
from fastcv.data import WithProposals
from fastcv.models import create_model
from fastcv.models.detection._feature_cache import FeatureCache
from fastcv.models.detection._rcnn_fit import DescribedImage, HardNegatives, RegressionPairs, ridge
from fastcv.models.detection.rcnn import RCNN
from fastcv.nn.detection.box_coder import BoxCoder
from fastcv.ops import box_iou, selective_search

CLASSES = ("background", "bright", "dark")


def tiny(classes=CLASSES):
    """Crops of 32 pixels, 4 of them context, to 16 x 4 x 4 numbers and to 32."""
    torch.manual_seed(0)
    features = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2)
    )
    classifier = nn.Sequential(nn.Dropout(0.5), nn.Linear(256, 32), nn.ReLU())
    return RCNN(features, classifier, 256, 32, classes, crop_size=32, context=4)


class Scenes(list):
    """Pictures of a bright and a dark rectangle on noise."""

    classes = CLASSES

    def __init__(self, count=4):
        torch.manual_seed(1)
        for i in range(count):
            image = 0.5 + 0.04 * torch.randn(3, 60, 80)
            boxes = torch.tensor([[6.0 + 3 * i, 8, 30 + 3 * i, 26], [44.0, 26 + 2 * i, 66, 50]])
            for (x1, y1, x2, y2), value in zip(boxes.int().tolist(), (0.95, 0.1), strict=True):
                image[:, y1:y2, x1:x2] = value
            target = {"boxes": boxes, "labels": torch.tensor([1, 2]), "image_id": i}
            self.append((image.clamp(0, 1), target))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Fine-tuned, then solved, on four scenes."""
    model, cache = tiny(), tmp_path_factory.mktemp("features")
    scenes = WithProposals(Scenes())
    images, targets = map(list, zip(*(scenes[i] for i in range(4)), strict=True))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        losses.append(model.loss(model(images), targets)["loss_classifier"])
        losses[-1].backward()
        optimizer.step()
    return model.fit_svms(scenes, cache=cache, penalty=1.0), cache, losses, scenes


def test_parameters():
    with torch.device("meta"):
        model = create_model("rcnn_alexnet")
    layers = sum(p.numel() for m in (model.features, model.classifier) for p in m.parameters())
    assert layers == 60_965_224 - 4_097_000  # AlexNet without its last layer
    assert sum(p.numel() for p in model.cls_score.parameters()) == 21 * 4097
    assert sum(p.numel() for p in model.svms.parameters()) == 20 * 4097
    assert sum(p.numel() for p in model.bbox_pred.parameters()) == 80 * 9217


def test_alexnets_weights_are_its_network():
    with torch.device("meta"):
        names = create_model("alexnet_grouped").state_dict()
        mine = create_model("rcnn_alexnet").state_dict()
    for key, value in names.items():
        if not key.startswith("classifier.6"):  # the last layer
            assert mine[key].shape == value.shape


def test_describes_crops_with_4096_numbers():
    model = create_model("rcnn_alexnet", num_classes=3).eval()
    with torch.inference_mode():
        crop = model.warp(torch.rand(3, 50, 60), torch.tensor([[4.0, 4, 30, 40]]))
        maps, vectors = model.describe(torch.rand(3, 50, 60), torch.tensor([[4.0, 4, 30, 40]]))
    assert crop.shape == (1, 3, 227, 227) and maps.shape == (1, 9216) and vectors.shape == (1, 4096)


def test_warp_shows_the_box_and_its_context():
    """A crop of 32 with 4 of context: 24 pixels of the box itself; beyond the image is the mean."""
    image = torch.rand(3, 60, 80) + 1
    (crop,) = tiny().warp(image, torch.tensor([[10.0, 20, 34, 44]]))
    torch.testing.assert_close(crop, image[:, 16:48, 6:38])
    (crop,) = tiny().warp(image, torch.tensor([[10.0, 20, 58, 44]]))  # twice as wide
    want = F.interpolate(image[None, :, 16:48, 2:66], (32, 32), mode="bilinear")[0]
    torch.testing.assert_close(crop, want)
    (crop,) = tiny().warp(image, torch.tensor([[0.0, 0, 24, 24]]))
    assert (crop[:, :3] == 0).all() and (crop[:, :, :3] == 0).all() and (crop[:, 5:, 5:] > 0).all()


def test_fine_tuning_loss_of_a_network_that_knows_nothing():
    model, (image, target) = tiny(), Scenes(1)[0]
    nn.init.zeros_(model.cls_score.weight), nn.init.zeros_(model.cls_score.bias)
    output = model([image], [torch.tensor([[0.0, 0, 9, 9]])])
    assert model.loss(output, [target])["loss_classifier"].item() == pytest.approx(math.log(3))
    with pytest.raises(ValueError, match=r"targets\[0\] must have 'proposals'"):
        model.loss(model([image]), [target])


@pytest.mark.parametrize("shape", [(30, 8), (8, 30)])  # either of the two systems
def test_ridge_is_least_squares_of_the_longer_system(shape):
    rng = np.random.default_rng(0)
    x, y, penalty = rng.normal(size=shape), rng.normal(size=(shape[0], 4)), 3.0
    weight, bias = ridge(torch.from_numpy(x), torch.from_numpy(y), penalty)
    rows, columns = shape
    ones = np.ones((rows, 1))
    long = np.block([[x, ones], [np.sqrt(penalty) * np.eye(columns), np.zeros((columns, 1))]])
    want = np.linalg.lstsq(long, np.vstack([y, np.zeros((columns, 4))]), rcond=None)[0]
    np.testing.assert_allclose(np.vstack([weight, bias]), want, atol=1e-6)  # float32


def test_regression_pairs_are_near_objects_of_the_class():
    objects, labels = torch.tensor([[0.0, 0, 10, 10], [20.0, 0, 40, 20]]), torch.tensor([1, 2])
    proposals = torch.tensor([[1.0, 0, 11, 10], [5.0, 0, 15, 10], [20.0, 1, 40, 21]])
    boxes = torch.cat([objects, proposals])
    maps = torch.arange(5.0)[:, None]
    image = DescribedImage(boxes, labels, box_iou(objects, boxes), maps, maps)
    pairs = RegressionPairs(BoxCoder())
    pairs.add_image(image, 1)
    assert pairs.maps[0].tolist() == [[2]]  # an IoU of 9/11; the next has 1/3
    back = BoxCoder().decode(pairs.offsets[0], proposals[:1])
    torch.testing.assert_close(back, objects[:1])


def test_svm_is_scikit_learns_on_what_was_taken():
    torch.manual_seed(0)
    vectors = torch.randn(60, 5)
    vectors[0] += 2
    boxes = torch.tensor([[0.0, 0, 10, 10]]).repeat(60, 1)
    boxes[1:] += 100
    image = DescribedImage(boxes, torch.tensor([1]), box_iou(boxes[:1], boxes), vectors, vectors)
    svm = HardNegatives(c=0.1, seed=0)
    svm.add_image(0, image, 1, 0.5)
    svm.solve()
    assert len(svm.negatives[0]) == 10
    margin = vectors[1:] * 0.5 @ svm.weight + svm.bias
    before = set(svm.taken[0])
    hard = {i for i in (margin > -1).nonzero().flatten().tolist() if i not in before}
    svm.add_image(0, image, 1, 0.5)
    assert svm.taken[0] == before | hard and len(hard) > 0
    svm.solve()
    x = torch.cat([vectors[:1], vectors[1:][list(before | hard)]]).double().numpy() * 0.5
    peer = LinearSVC(C=0.1, class_weight={0: 1, 1: 2}, intercept_scaling=10, random_state=0)
    peer.fit(x, [1] + [0] * (len(x) - 1))
    np.testing.assert_allclose(svm.weight, peer.coef_[0], atol=1e-3)


def test_cache_keeps_and_makes_anew(tmp_path):
    cache, calls = FeatureCache(tmp_path, {"w": torch.ones(2)}), []

    def make():
        calls.append(1)
        return {"x": torch.full((2, 3), float(len(calls)))}

    key = [torch.zeros(3), torch.ones(1, 4)]
    assert cache.get(key, make)["x"][0, 0] == 1 and cache.get(key, make)["x"][0, 0] == 1
    assert cache.get([torch.zeros(3), torch.zeros(1, 4)], make)["x"][0, 0] == 2  # other boxes
    other = FeatureCache(tmp_path, {"w": torch.zeros(2)})
    assert other.get(key, make)["x"][0, 0] == 3  # other weights
    files = sorted(tmp_path.iterdir())
    assert len(files) == 3 and all(f.suffix == ".safetensors" for f in files)
    for file in files:
        file.write_bytes(file.read_bytes()[:20])  # as a full disk leaves it
    assert cache.get(key, make)["x"][0, 0] == 4 and cache.get(key, make)["x"][0, 0] == 4
    assert FeatureCache(None, {}).get(key, make)["x"][0, 0] == 5
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.slow
def test_learns(trained):
    model, cache, losses, _ = trained
    assert losses[-1] < 0.2 < losses[0]
    assert len(list(cache.iterdir())) == 4
    for image, target in Scenes():
        (found,) = model.predict(image)
        for box, label in zip(target["boxes"], target["labels"], strict=True):
            iou = box_iou(box[None], found.boxes[found.labels == label])
            assert iou.max() > 0.8


@pytest.mark.slow
def test_fit_reads_its_cache_and_gives_the_same(trained, monkeypatch):
    model, cache, _, scenes = trained
    before = {key: value.clone() for key, value in model.state_dict().items()}
    monkeypatch.setattr(model, "describe", None)  # nothing is computed anew
    model.fit_svms(scenes, cache=cache, penalty=1.0)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.slow
def test_predict_takes_proposals(trained):
    model, _, _, scenes = trained
    image, target = scenes[0]
    (want,) = model.predict(image)
    (got,) = model.predict(image, proposals=[selective_search(image)])
    (few,) = model.predict(image, proposals=[target["boxes"][:1]])
    assert torch.equal(want.boxes, got.boxes) and set(few.labels.tolist()) <= {1}


def test_before_it_is_solved_it_finds_nothing():
    model = tiny()
    assert len(model.predict(torch.rand(3, 40, 40))[0]) == 0
    with pytest.raises(ValueError, match=r"output is of training mode, .*eval\(\) first"):
        model.postprocess(model([torch.rand(3, 40, 40)]))


def test_classes_without_objects_are_never_found():
    scenes = Scenes(2)
    for _, target in scenes:
        target["boxes"], target["labels"] = target["boxes"][:1], target["labels"][:1]
    model = tiny().fit_svms(WithProposals(scenes))
    assert model.training and model.svms.bias[1] == -20 and (model.svms.weight[1] == 0).all()
    assert (model.svms.weight[0] != 0).any() and (model.bbox_pred.weight[4:] == 0).all()


def test_optimized_and_exported():
    model = tiny().eval()
    for layer in (model.svms, model.bbox_pred):
        nn.init.normal_(layer.weight, std=0.1)
    image, boxes = torch.rand(3, 40, 40), torch.tensor([[1.0, 2, 31, 32], [10.0, 10, 30, 30]])
    with torch.no_grad():
        want = model([image], [boxes])
        exported = torch.export.export(model, ([image], [boxes])).module()([image], [boxes])
        folded = fastcv.optimize(model)([image], [boxes])
    for got in (exported, folded):
        torch.testing.assert_close(got.margins, want.margins, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(got.box_deltas, want.box_deltas, rtol=1e-4, atol=1e-5)


def test_the_small_form():
    model = create_model("rcnn_small", num_classes=3, width=4, crop_size=24)
    maps, vectors = model.eval().describe(torch.rand(3, 30, 30), torch.tensor([[4.0, 4, 20, 20]]))
    assert maps.shape == (1, 16 * 3 * 3) and vectors.shape == (1, 32) and model.context == 2
    with pytest.raises(ValueError, match="crop_size must be a multiple of 8, got 20"):
        create_model("rcnn_small", crop_size=20)
