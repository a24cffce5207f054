"""Points of a plane: near rows stay near; pictures at the points."""

import numpy as np
import pytest
import sklearn.datasets
import sklearn.decomposition
import sklearn.manifold
import torch

from fastcv.explain import embed_2d, thumbnail_scatter


@pytest.fixture(scope="module")
def digits():
    return torch.from_numpy(sklearn.datasets.load_digits().data).float()


def test_tsne_keeps_neighbours(digits):
    some = digits[:300]
    points = embed_2d(some)
    assert points.shape == (300, 2) and points.dtype == torch.float32
    assert sklearn.manifold.trustworthiness(some.numpy(), points.numpy(), n_neighbors=5) >= 0.98


def test_tsne_is_the_same_again():
    rows = torch.randn(40, 7, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(3)
    one = embed_2d(rows, seed=1)
    torch.manual_seed(4)
    np.random.seed(5)
    state = np.random.get_state()[1].copy()
    assert torch.equal(one, embed_2d(rows, seed=1))
    assert (np.random.get_state()[1] == state).all()


@pytest.mark.parametrize("count", [3, 4, 10])
def test_few_rows(count):
    rows = torch.randn(count, 5, generator=torch.Generator().manual_seed(0))
    for method in ("tsne", "pca"):
        found = embed_2d(rows, method)
        assert found.shape == (count, 2) and found.isfinite().all()


def test_pca_is_scikit_learns(digits):
    peer = torch.from_numpy(sklearn.decomposition.PCA(2).fit_transform(digits.double().numpy()))
    found = embed_2d(digits, "pca").double()
    signs = (found * peer).sum(dim=0).sign()  # an axis has no direction
    torch.testing.assert_close(found, peer * signs, atol=1e-4, rtol=1e-5)


def test_pca_of_equal_rows_and_of_one_feature():
    assert torch.equal(embed_2d(torch.ones(4, 3), "pca"), torch.zeros(4, 2))
    line = embed_2d(torch.tensor([[1.0], [2.0], [6.0]]), "pca")
    torch.testing.assert_close(line, torch.tensor([[-2.0, 0], [-1, 0], [3, 0]]))


@pytest.mark.parametrize(
    ("features", "method", "sentence"),
    [
        (torch.rand(5, 2), "umap", "method must be 'tsne' or 'pca', got 'umap'"),
        (torch.rand(2, 4), "pca", r"features must be \[N, D\] of 3 rows at least, got \[2, 4\]"),
        (torch.rand(9), "pca", r"features must be \[N, D\] of 3 rows at least, got \[9\]"),
        (torch.full((5, 2), torch.nan), "tsne", "features must be finite"),
        (torch.full((5, 2), torch.inf), "pca", "features must be finite"),
    ],
)
def test_mistakes(features, method, sentence):
    with pytest.raises(ValueError, match=sentence):
        embed_2d(features, method)


RED, BLUE = torch.tensor([1.0, 0, 0]), torch.tensor([0.0, 0, 1])


def flat(colour):
    return colour[:, None, None].expand(3, 8, 8)


def test_pictures_at_their_points():
    points = torch.tensor([[0.0, 0.0], [10.0, 5.0]])
    sheet = np.array(thumbnail_scatter(points, [flat(RED), flat(BLUE)], size=200, thumbnail=20))
    assert sheet.shape == (200, 200, 3)

    def middle(colour):
        rows, columns = (sheet == colour).all(axis=2).nonzero()
        assert len(rows) == 400
        return rows.mean(), columns.mean()

    red, blue = middle((255, 0, 0)), middle((0, 0, 255))
    assert red[0] > 100 > blue[0] and red[1] < 100 < blue[1]  # up is up, right is right
    assert (blue[1] - red[1]) / (red[0] - blue[0]) == pytest.approx(2, abs=0.05)  # one scale


def test_a_picture_that_would_cover_another_is_a_dot():
    points = torch.tensor([[0.0, 0.0], [0.01, 0.0], [10.0, 0.0]])
    pictures = [flat(RED), flat(BLUE), flat(RED)]
    sheet = np.array(thumbnail_scatter(points, pictures, [0, 1, 2], size=200, thumbnail=20))
    assert (sheet == (255, 0, 0)).all(axis=2).sum() == 800
    assert not (sheet == (0, 0, 255)).all(axis=2).any()


def test_frames_have_their_label_colour():
    from fastcv.draw.canvas import color_of

    points = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    sheet = np.array(thumbnail_scatter(points, [flat(RED)] * 2, [4, 4], size=100, thumbnail=20))
    frame = (sheet == color_of(4)).all(axis=2).sum()
    assert frame == 2 * (24**2 - 20**2)


def test_points_in_one_place():
    assert thumbnail_scatter(torch.zeros(3, 2), [flat(RED)] * 3, size=60).size == (60, 60)


def test_scatter_mistakes():
    with pytest.raises(ValueError, match=r"points must be \[N, 2\], got \[3, 3\]"):
        thumbnail_scatter(torch.zeros(3, 3), [flat(RED)] * 3)
    with pytest.raises(ValueError, match="pictures must be 3, one for each point, got 2"):
        thumbnail_scatter(torch.zeros(3, 2), [flat(RED)] * 2)
    with pytest.raises(ValueError, match="labels must be 3, one for each point, got 1"):
        thumbnail_scatter(torch.zeros(3, 2), [flat(RED)] * 3, [1])
