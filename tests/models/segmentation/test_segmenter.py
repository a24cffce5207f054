"""What segmenters share: losses by name, predictions by tiles, scales and mirroring."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fastcv.models._tiles import spans
from fastcv.models.segmentation._segmenter import Segmenter, SegmenterOutput
from fastcv.models.segmentation._tiles import label_tiles
from fastcv.nn.losses.segmentation_losses import dice_loss, pixel_cross_entropy, pixel_focal_loss


class Small(Segmenter):
    """Looks 3 pixels far; with ``pooled``, 8 pixels far at strides of up to 4."""

    def __init__(self, pooled=False, classes=5):
        super().__init__()
        torch.manual_seed(0)
        self.classes = tuple(f"class {i}" for i in range(classes))
        self.convs = nn.ModuleList(nn.Conv2d(n, 8, 3, padding=1) for n in (3, 8))
        self.head = nn.Conv2d(8, classes, 3, padding=1)
        self.pooled = pooled
        self.seen = []

    def forward(self, images):
        self.seen.append(tuple(images.shape))
        x = images
        for conv in self.convs:
            x = conv(x).relu()
            x = F.max_pool2d(x, 2) if self.pooled else x
        x = F.interpolate(x, scale_factor=4) if self.pooled else x
        # Near ties, a rounding error of the tile's shape could decide.
        return 20 * self.head(x)


def picture(height, width, seed=0):
    """Smooth, so that regions are larger than a pixel; uint8."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, height // 8 + 1, width // 8 + 1, generator=generator)
    smooth = F.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)[0]
    return (255 * smooth).round().byte()


# Losses.


def test_loss_terms():
    model, generator = Small(), torch.Generator().manual_seed(0)
    logits, aux = torch.randn(2, 2, 5, 6, 7, generator=generator)
    targets = torch.randint(5, (2, 6, 7), generator=generator)
    targets[0, :2] = 255
    assert model.loss(logits, targets) == {"cross_entropy": pixel_cross_entropy(logits, targets)}
    model.loss_terms = ("dice", "focal")
    found = model.loss(SegmenterOutput(logits, aux), targets)
    assert found["dice"] == dice_loss(logits, targets)
    assert found["focal"] == pixel_focal_loss(logits, targets)
    expected = dice_loss(aux, targets) + pixel_focal_loss(aux, targets)
    torch.testing.assert_close(found["auxiliary"], 0.5 * expected)
    assert list(found) == ["dice", "focal", "auxiliary"]
    model.loss_terms = ("dice", "iou")
    with pytest.raises(
        ValueError, match="loss_terms must be of cross_entropy, dice, focal, got 'i"
    ):
        model.loss(logits, targets)


# Tiles.


@pytest.mark.parametrize("size", [1, 31, 64, 65, 95, 96, 97, 128, 200, 1000])
@pytest.mark.parametrize("overlap", [0, 8, 16, 32])
def test_tiles_cover_a_picture(size, overlap):
    found = spans(size, 64, overlap)
    assert found[0].start == 0 and found[-1].end == found[-1].until == size
    total = torch.zeros(size)
    for span, after in zip(found, [*found[1:], None], strict=True):
        assert span.start % 32 == 0 and span.end - span.start < 64 + 32
        if after is not None:
            assert span.end - after.start >= overlap and span.until == after.start > span.start
        total[span.start : span.end] += span.weights
    assert total.min() > 0
    assert total.max() <= 1 + 1e-6 or len(found) > 2  # the last tile may overlap two


def test_a_fade():
    """Of 32 shared pixels 8 are context, 16 fade, 8 are the next tile's alone."""
    first, second = spans(96, 64, 32)
    assert first.weights[:32].tolist() == [1] * 32 == second.weights[-32:].tolist()
    assert second.weights[:8].tolist() == [0] * 8 == first.weights[-8:].tolist()
    torch.testing.assert_close(second.weights[8:24], (torch.arange(16) + 0.5) / 16)
    torch.testing.assert_close(first.weights[32:] + second.weights[:32], torch.ones(32))


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("size", [(40, 52), (64, 200), (236, 188), (300, 96)])
def test_labels_are_those_of_one_pass(pooled, size):
    model, image = Small(pooled), picture(*size)
    (whole,) = model.predict(image)
    assert len(whole.shares()) > 2  # there is something to get wrong
    (found,) = model.predict(image, tile=64, overlap=32)
    assert torch.equal(found.labels.long(), whole.labels)
    assert found.labels.dtype == torch.uint8 and found.scores is None
    assert max(max(shape[2:]) for shape in model.seen[1:]) < 64 + 32


def test_without_overlap_there_are_seams():
    """Or the tests above would show nothing."""
    model, image = Small(), picture(236, 188)
    (whole,) = model.predict(image)
    (found,) = model.predict(image, tile=64, overlap=0)
    wrong = found.labels != whole.labels
    assert wrong.any() and not wrong[:50, :50].any()


def test_tiles_are_averaged_where_they_overlap():
    """Two tiles that say different things: the border is in the middle of what they share."""
    calls = []

    def scores_of(part):
        calls.append(part.shape)
        scores = torch.zeros(2, *part.shape[1:])
        scores[len(calls) - 1] = 1
        return scores

    labels = label_tiles(scores_of, torch.zeros(3, 64, 96), 64, 32)
    assert calls == [(3, 64, 64), (3, 64, 64)]
    assert (labels[:, :48] == 0).all() and (labels[:, 48:] == 1).all()


def test_an_image_is_converted_a_tile_at_a_time():
    model = Small()
    converted = []
    model.as_float = lambda x: converted.append(x.shape) or x.float() / 255
    model.predict(picture(200, 300), tile=64)
    assert len(converted) == 5 * 8
    assert max(x.numel() for x in map(torch.empty, converted)) < 3 * 96 * 96


def test_many_classes_do_not_fit_a_byte():
    assert Small(classes=256).predict(picture(70, 40), tile=64)[0].labels.dtype == torch.uint8
    assert Small(classes=257).predict(picture(70, 40), tile=64)[0].labels.dtype == torch.int32


# Scales and mirroring.


def test_flip_is_the_mean_with_the_mirrored_image():
    model, image = Small(), picture(40, 52)
    plain, mirrored = (model.predict(x)[0].scores for x in (image, image.flip(2)))
    (found,) = model.predict(image, flip=True)
    torch.testing.assert_close(found.scores, (plain + mirrored.flip(2)) / 2)
    assert torch.equal(found.labels, found.scores.argmax(0))
    (again,) = model.predict(image.flip(2), flip=True)
    torch.testing.assert_close(again.scores, found.scores.flip(2))


def test_scales_are_averaged():
    model, image = Small(), picture(40, 52)
    (found,) = model.predict(image, scales=(0.5, 1, 1.75))
    assert [shape[2:] for shape in model.seen] == [(20, 26), (40, 52), (70, 91)]
    assert found.scores.shape == (5, 40, 52)
    torch.testing.assert_close(found.scores.sum(0), torch.ones(40, 52))
    halves = F.interpolate(image[None] / 255, (20, 26), mode="bilinear", antialias=True)[0]
    with torch.no_grad():
        logits = model(model.prepare([halves]))
    small = F.interpolate(logits, (40, 52), mode="bilinear")[0].softmax(0)
    (both,) = model.predict(image, scales=(0.5, 1))
    torch.testing.assert_close(both.scores, (small + model.predict(image)[0].scores) / 2)


def test_scales_are_of_what_the_network_would_see():
    """Not of an image that ``prepare`` then brings back to the size it always has."""
    model = Small()
    model.preprocessing = {**model.preprocessing, "resize": 32}
    (found,) = model.predict(picture(48, 60), scales=(1, 2))
    assert [shape[2:] for shape in model.seen] == [(32, 40), (64, 80)]
    assert found.scores.shape == (5, 48, 60)


def test_tiles_with_scales_and_flip():
    model, image = Small(), picture(100, 120)
    (whole,) = model.predict(image, scales=(1, 2), flip=True)
    (found,) = model.predict(image, scales=(1, 2), flip=True, tile=64, overlap=32)
    assert torch.equal(found.labels.long(), whole.labels)


def test_scores_can_be_left_out():
    model, image = Small(), picture(40, 52)
    (found,) = model.predict(image, keep_scores=False)
    assert found.scores is None and torch.equal(found.labels, model.predict(image)[0].labels)


def test_progress_counts_tiles(capsys):
    Small().predict(picture(100, 100), tile=64, progress=True)
    shown = capsys.readouterr().err
    assert "0/4" in shown and "tile" in shown and "1/1" in shown
    Small().predict(picture(100, 100), tile=64)
    assert capsys.readouterr().err == ""


def test_bad_options():
    model, image = Small(), picture(40, 52)
    for options, words in [
        ({"tile": 100}, "tile must be a multiple of 32, at least 64, got 100"),
        ({"tile": 0}, "at least 64, got 0"),
        ({"tile": 64, "overlap": 33}, "overlap must be 0 to tile - 32 = 32, got 33"),
        ({"overlap": 8}, "overlap is of tiles: set tile too"),
        ({"scales": ()}, r"scales must be numbers above 0, got \(\)"),
        ({"scales": (1, -1)}, "scales must be numbers above 0"),
    ]:
        with pytest.raises(ValueError, match=words):
            model.predict(image, **options)
    with pytest.raises(TypeError, match=r"progress, tile, overlap, scales, flip, keep_scores$"):
        model.predict(image, tiles=3)
