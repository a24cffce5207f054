"""HOG and a linear SVM: descriptors and margins by scikit-image and scikit-learn, and faces."""

import numpy as np
import pytest
import skimage.data
import torch
from skimage.feature import hog as skimage_hog
from sklearn.svm import LinearSVC

from fastcv.models import create_model, load_model, save_model
from fastcv.ops import box_iou
from fastcv.recipes.detection import hog_faces

FACE = torch.tensor([[165.0, 50, 285, 170]])  # the astronaut's, drawn by hand


def tiny(**options):
    return create_model("hog_svm", **{"window_size": (16, 24), "cell_size": 8, **options})


def with_random_weights(**options):
    torch.manual_seed(0)
    model = tiny(**options)
    torch.nn.init.normal_(model.svm.weight)
    torch.nn.init.normal_(model.svm.bias)
    return model


def by_skimage(image, cell=8):
    pixels = image.double().permute(1, 2, 0).numpy()
    options = {"pixels_per_cell": (cell, cell), "cells_per_block": (2, 2), "channel_axis": -1}
    return skimage_hog(pixels, feature_vector=False, **options)


def test_the_papers_window_has_3780_numbers():
    model = create_model("hog_svm")
    assert model.describe(torch.rand(1, 3, 128, 64)).shape == (1, 3780)
    assert sum(p.numel() for p in model.parameters()) == 3781


def test_margins_are_those_of_every_window():
    """Of the first level, by scikit-image's blocks and a product for each window."""
    model, image = with_random_weights(), torch.rand(3, 43, 50)
    output = model([image])
    blocks, weight = by_skimage(image), model.svm.weight.detach().double().numpy()[0]
    rows, columns = blocks.shape[0] - 1 + 1, blocks.shape[1] - 2 + 1
    want = [
        [blocks[y : y + 1, x : x + 2].ravel() @ weight for x in range(columns)] for y in range(rows)
    ]
    got = output.margins[0][0] - model.svm.bias
    assert output.level_sizes[0][:2] == [(43, 50), (36, 42)] and len(output.margins[0]) == 5
    np.testing.assert_allclose(got.detach(), want, atol=1e-4)  # float32 sums of 72 products


def test_descriptors_and_weights_are_their_peers():
    """Without rounds, the SVM is scikit-learn's on scikit-image's descriptors."""
    torch.manual_seed(1)
    windows, labels = torch.rand(30, 3, 16, 24), torch.arange(30) < 10
    windows[labels, :, :, :12] *= 0.3
    model = tiny().fit(windows, labels, c=0.5)
    features = np.stack([by_skimage(window).ravel() for window in windows])
    np.testing.assert_allclose(model.describe(windows), features, atol=1e-5)
    svm = LinearSVC(C=0.5, class_weight="balanced", random_state=0, max_iter=10_000)
    svm.fit(features, labels.numpy())
    np.testing.assert_allclose(model.svm.weight.detach()[0], svm.coef_[0], atol=1e-3)
    assert model.svm.bias.item() == pytest.approx(svm.intercept_[0], abs=1e-3)


def test_hard_negatives_are_no_longer_found():
    torch.manual_seed(2)
    windows, labels = torch.rand(20, 3, 16, 16) * 0.2, torch.arange(20) < 10
    windows[labels, :, 4:12, 4:12] += 0.8
    photograph = torch.zeros(3, 64, 64)
    photograph[:, ::16, :] = photograph[:, :, ::16] = 1  # a grid has corners too
    without = tiny(window_size=(16, 16), cell_size=4).fit(windows, labels)
    with_them = tiny(window_size=(16, 16), cell_size=4).fit(windows, labels, [photograph])
    found = [len(model.predict(photograph)[0]) for model in (without, with_them)]
    assert found[0] > found[1] == 0


def test_boxes_are_in_the_images_pixels():
    """A window of the second level is larger by the step; overlaps are thinned."""
    model = with_random_weights(window_size=(16, 16), cell_size=8, scale_step=2.0)
    output = model([torch.rand(3, 64, 48)])
    for margins in output.margins[0]:
        margins.fill_(-9)
    output.margins[0][0][3, 2] = 2.0
    output.margins[0][1][1, 0] = 1.0
    (found,) = model.postprocess(output)
    assert found.boxes.tolist() == [[16, 24, 32, 40], [0, 16, 32, 48]]
    torch.testing.assert_close(found.scores, torch.tensor([2.0, 1.0]).sigmoid())
    assert found.name_of(1) == "object" and found.image_size == (64, 48)
    (fewer,) = model.postprocess(output, iou_threshold=0.1, max_detections=1)
    assert fewer.boxes.tolist() == [[16, 24, 32, 40]]


def test_the_template_shares_weights_out_to_cells():
    model = tiny(window_size=(16, 16))  # one block of 2 x 2 cells
    with torch.no_grad():
        model.svm.weight.copy_(torch.linspace(-1, 1, 36)[None])
    positive, negative = model.template()
    torch.testing.assert_close((positive - negative).flatten(), torch.linspace(-1, 1, 36))
    wide = tiny(window_size=(16, 24))  # two blocks; the middle cells are in both
    torch.nn.init.ones_(wide.svm.weight)
    assert wide.template()[0][..., 0].tolist() == [[1, 2, 1], [1, 2, 1]]


def test_an_image_smaller_than_the_window_has_nothing():
    assert len(with_random_weights().predict(torch.rand(3, 15, 40))[0]) == 0


def test_saved_and_loaded(tmp_path):
    model, image = with_random_weights(), torch.rand(3, 40, 40)
    model.classes = ("background", "thing")
    save_model(tmp_path / "m.safetensors", model)
    other = load_model(tmp_path / "m.safetensors")
    (want,), (got,) = (m.predict(image, score_threshold=0.3) for m in (model, other))
    assert len(want) > 0 and torch.equal(want.boxes, got.boxes) and got.name_of(1) == "thing"


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces")
    metrics = hog_faces.train(folder, device="cpu")
    return load_model(folder / hog_faces.WEIGHTS), metrics


@pytest.mark.slow
def test_tells_faces_it_never_saw(faces):
    assert faces[1]["accuracy"] >= 0.93
    with pytest.raises(ValueError, match="weights must be a file that train"):
        hog_faces.evaluate()


@pytest.mark.slow
def test_finds_the_face_of_a_photograph(faces):
    (found,) = faces[0].predict(skimage.data.astronaut())
    assert box_iou(FACE, found.boxes).max() > 0.5
    assert len(found) < 15  # of some 30,000 windows


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window_size": (20, 24)}, "window_size must be multiples of cell_size=8"),
        ({"window_size": (8, 24)}, "at least a block of 16 pixels"),
        ({"scale_step": 1.0}, "scale_step must be above 1, got 1.0"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        tiny(**options)


def test_wrong_windows_labels_and_images():
    model = tiny()
    with pytest.raises(ValueError, match=r"windows must be \[N, C, 16, 24\], got \[2, 3, 16, 16\]"):
        model.describe(torch.rand(2, 3, 16, 16))
    with pytest.raises(
        ValueError, match=r"labels must be \[2\] with objects and others, got \[2\]"
    ):
        model.fit(torch.rand(2, 3, 16, 24), torch.ones(2))
    with pytest.raises(TypeError, match="divide uint8 by 255"):
        model([torch.zeros(3, 60, 80, dtype=torch.uint8)])
