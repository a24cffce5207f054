"""The surface branch: its losses written out point by point, its targets, its maps on pixels."""

import math

import pytest
import torch
from small_models import make_small
from torch.nn import functional as F

from fastcv.nn.detection import densepose_branch
from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.nn.detection.densepose_branch import (
    DecodedRoIAlign,
    DensePoseBranch,
    DensePosePredictor,
    PyramidDecoder,
    SurfaceMaps,
    surface_on_pixels,
)
from fastcv.nn.detection.roi_branch import Frame, RoISamples
from fastcv.ops import box_iou, roi_align

CHARTS, SIZE = 3, 8  # of the maps in the test of the losses


def samples_of(generator, frame, counts=(2, 3), points=7):
    """Samples of two images, the second with fewer points to an object."""
    samples = []
    for image, count in enumerate(counts):
        objects, p = 2, points - 2 * image
        height, width = frame.original_size
        boxes = torch.rand(count, 2, generator=generator) * 20
        boxes = torch.cat([boxes, boxes + 15 + 20 * torch.rand(count, 2, generator=generator)], 1)
        places = torch.rand(objects, p, 2, generator=generator) * 50 / 2
        charts = torch.randint(CHARTS + 1, (objects, p, 1), generator=generator)
        target = {
            "dense_keypoints": torch.cat([places, charts], dim=2),
            "dense_uv": torch.rand(objects, p, 2, generator=generator),
            "masks": torch.rand(objects, height, width, generator=generator) > 0.5,
        }
        matched = torch.randint(objects, (count,), generator=generator)
        samples.append(RoISamples(boxes, torch.ones(count).long(), matched, target, frame))
    return samples


def at_place(image, x, y):
    """A map's value at x and y in cells, of which the first one's middle is 0.5, by the hand."""
    size = len(image)
    x, y = (min(max(value - 0.5, 0), size - 1) for value in (x, y))
    left, top = min(int(x), size - 2), min(int(y), size - 2)
    a, b = x - left, y - top
    return (
        image[top][left] * (1 - a) * (1 - b)
        + image[top][left + 1] * a * (1 - b)
        + image[top + 1][left] * (1 - a) * b
        + image[top + 1][left + 1] * a * b
    )


def cross_entropy(logits, label):
    return math.log(sum(math.exp(value) for value in logits)) - logits[label]


def smooth_l1(error):
    return 0.5 * error * error if abs(error) < 1 else abs(error) - 0.5


def losses_by_hand(output, samples):
    """The four terms, one point and one cell at a time."""
    u = v = 0.0
    chart_terms, body_terms = [], []
    row = 0
    for sample in samples:
        old, new = sample.frame
        for box, own in zip(sample.boxes.tolist(), sample.matched.tolist(), strict=True):
            x1, y1, x2, y2 = box
            maps = output[row].tolist()
            row += 1
            points = sample.target["dense_keypoints"][own].tolist()
            for (x, y, chart), uv in zip(points, sample.target["dense_uv"][own], strict=True):
                x, y, chart = x * new[1] / old[1], y * new[0] / old[0], int(chart)
                if chart == 0 or not (x1 <= x < x2 and y1 <= y < y2):
                    continue
                column, line = (x - x1) / (x2 - x1) * SIZE, (y - y1) / (y2 - y1) * SIZE
                values = [at_place(image, column, line) for image in maps]
                charts = values[2 : 3 + CHARTS]
                chart_terms.append(cross_entropy(charts, chart))
                u += smooth_l1(values[3 + CHARTS + chart] - float(uv[0]))
                v += smooth_l1(values[4 + 2 * CHARTS + chart] - float(uv[1]))
            for line in range(SIZE):
                for column in range(SIZE):
                    x = (x1 + (column + 0.5) / SIZE * (x2 - x1)) * old[1] / new[1]
                    y = (y1 + (line + 0.5) / SIZE * (y2 - y1)) * old[0] / new[0]
                    inside = 0 <= x < old[1] and 0 <= y < old[0]
                    body = inside and bool(sample.target["masks"][own, int(y), int(x)])
                    logits = [maps[0][line][column], maps[1][line][column]]
                    body_terms.append(cross_entropy(logits, int(body)))
    return {
        "U": 0.01 * u,
        "V": 0.01 * v,
        "I": sum(chart_terms) / len(chart_terms),
        "S": 5 * sum(body_terms) / len(body_terms),
    }


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("frame", [Frame((25, 25), (50, 50)), Frame((40, 30), (40, 60))])
def test_losses_by_hand(seed, frame):
    generator = torch.Generator().manual_seed(seed)
    samples = samples_of(generator, frame)
    output = torch.randn(5, 2 + 3 * (CHARTS + 1), SIZE, SIZE, generator=generator) * 2
    losses = DensePoseBranch(CHARTS).loss(output.double(), samples)
    expected = losses_by_hand(output, samples)
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        assert float(losses[name]) == pytest.approx(value, rel=1e-5), name


def test_only_the_true_charts_maps_learn_u_and_v():
    generator = torch.Generator().manual_seed(0)
    samples = samples_of(generator, Frame((25, 25), (50, 50)))
    for sample in samples:
        points = sample.target["dense_keypoints"]
        points[..., 2] = torch.where(points[..., 2] > 0, 2.0, 0.0)
    output = torch.randn(5, 2 + 3 * (CHARTS + 1), SIZE, SIZE, requires_grad=True)
    losses = DensePoseBranch(CHARTS).loss(output, samples)
    (losses["U"] + losses["V"]).backward()
    learns = [bool(output.grad[:, i].any()) for i in range(output.shape[1])]
    assert [i for i, does in enumerate(learns) if does] == [6 + 2, 10 + 2]


def test_a_map_that_is_right_has_no_loss():
    """Maps that say what the points say, and S as sure as can be."""
    box = torch.tensor([[4.0, 8.0, 20.0, 24.0]])
    mask = torch.zeros(1, 32, 32, dtype=torch.bool)
    mask[:, 8:24, 4:12] = True
    target = {
        "dense_keypoints": torch.tensor([[[6.0, 12.0, 2.0], [9.0, 20.0, 2.0]]]),
        "dense_uv": torch.full((1, 2, 2), 0.25),
        "masks": mask,
    }
    one, zero = torch.tensor([1]), torch.tensor([0])
    sample = RoISamples(box, one, zero, target, Frame((32, 32), (32, 32)))
    output = torch.zeros(1, 2 + 3 * (CHARTS + 1), SIZE, SIZE)
    output[:, 1, :, :4], output[:, 0, :, 4:], output[:, 2 + 2] = 50, 50, 50
    output[:, 6 + 2], output[:, 10 + 2] = 0.25, 0.25
    losses = DensePoseBranch(CHARTS).loss(output, [sample])
    assert all(float(value) == pytest.approx(0, abs=1e-6) for value in losses.values())


@pytest.mark.parametrize("case", ["no samples", "no points", "none inside", "no column of points"])
def test_nothing_to_learn(case):
    generator = torch.Generator().manual_seed(0)
    counts = (0, 0) if case == "no samples" else (2, 3)
    samples = samples_of(generator, Frame((25, 25), (50, 50)), counts)
    for sample in samples:
        target = sample.target
        if case == "no points":
            target["dense_keypoints"][..., 2] = 0
        elif case == "none inside":
            target["dense_keypoints"][..., :2] = -5
        elif case == "no column of points":
            for name in ("dense_keypoints", "dense_uv"):
                sample.target[name] = target[name][:, :0]
    output = torch.randn(sum(counts), 2 + 3 * (CHARTS + 1), SIZE, SIZE, requires_grad=True)
    losses = DensePoseBranch(CHARTS).loss(output, samples)
    assert [losses[name].item() for name in "UVI"] == [0, 0, 0]
    assert (losses["S"].item() == 0) == (case == "no samples")
    sum(losses.values()).backward()
    assert output.grad.isfinite().all()


# Targets.


def target(**more):
    boxes = torch.tensor([[5.0, 5, 40, 50], [30.0, 2, 70, 40]])
    good = {
        "boxes": boxes,
        "labels": torch.tensor([1, 1]),
        "masks": torch.ones(2, 60, 80, dtype=torch.bool),
        "dense_keypoints": torch.tensor([[[20.0, 20, 1], [0, 0, 0]], [[40, 20, 3], [50, 30, 2]]]),
        "dense_uv": torch.full((2, 2, 2), 0.5),
    }
    return {key: value for key, value in {**good, **more}.items() if value is not None}


def points(chart):
    return torch.tensor([[20.0, 20, chart]]).expand(2, 2, 3)


def test_a_good_target_passes():
    assert DensePoseBranch(3).check(target(), (60, 80)) == ""


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"dense_keypoints": None}, "must have a tensor 'dense_keypoints', has"),
        ({"dense_uv": None}, "must have a tensor 'dense_uv', has"),
        ({"masks": None}, "must have a tensor 'masks', has"),
        ({"dense_uv": torch.rand(1, 2, 2)}, "dense_uv must be 2, one for each box, got [1, 2, 2]"),
        ({"dense_uv": torch.rand(2, 3, 2)}, "dense_uv must be floating [2, 2, 2], of each point"),
        ({"dense_keypoints": torch.rand(2, 2, 2)}, "must be floating [2, P, 3], x, y and chart"),
        ({"dense_keypoints": torch.ones(2, 2, 3).long()}, "got torch.int64 [2, 2, 3]"),
        ({"masks": torch.ones(2, 60, 79)}, "masks must be [2, 60, 80], as the image is"),
        ({"dense_keypoints": points(4)}, "must be 1 to 3, or 0 for no point, got 4.0"),
        ({"dense_keypoints": points(-1)}, "must be 1 to 3, or 0 for no point, got -1.0"),
        ({"dense_keypoints": points(1.5)}, "must be 1 to 3, or 0 for no point, got 1.5"),
        ({"dense_keypoints": points(math.nan)}, "must be 1 to 3, or 0 for no point, got nan"),
        ({"dense_uv": torch.full((2, 2, 2), 127.0)}, "dense_uv must be 0 to 1, got 127.0"),
        ({"dense_uv": torch.full((2, 2, 2), math.nan)}, "dense_uv must be 0 to 1, got nan"),
    ],
)
def test_targets_that_do_not_fit(more, sentence):
    assert sentence in DensePoseBranch(3).check(target(**more), (60, 80))


@pytest.fixture(scope="module")
def model():
    return make_small("densepose_rcnn_resnet18_fpn")


def test_a_models_sentence(model):
    with pytest.raises(ValueError, match=r"targets\[0\]: the chart of a point must be 1 to 4, or"):
        model.loss(model.train()([torch.rand(3, 60, 80)]), [target(dense_keypoints=points(9))])


def test_no_objects_and_crowds(model):
    none = {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.int64),
        "masks": torch.zeros(0, 60, 80, dtype=torch.bool),
        "dense_keypoints": torch.zeros(0, 5, 3),
        "dense_uv": torch.zeros(0, 5, 2),
    }
    torch.manual_seed(0)
    output = model.eval()([torch.rand(3, 60, 80)])
    for empty in (none, target(iscrowd=torch.tensor([True, True]))):
        losses = model.loss(output, [empty])
        own = {name: float(value) for name, value in losses.items() if "densepose" in name}
        assert own == {f"loss_densepose_{term}": 0 for term in "UVIS"}


def test_proposals_far_from_their_object_do_not_count(model, monkeypatch):
    seen = []
    loss = DensePoseBranch.loss

    def watched(self, output, samples):
        seen.extend(samples)
        assert len(output) == sum(len(sample.boxes) for sample in samples)
        return loss(self, output, samples)

    monkeypatch.setattr(DensePoseBranch, "loss", watched)
    heads, features = model.roi_heads, model.eval()([torch.rand(3, 64, 64)]).features
    objects = torch.tensor([[10.0, 10, 50, 50]])
    # IoU of 0.9, 0.75, 0.65, 0.55: all of them objects for the boxes' losses.
    proposals = torch.tensor([[10.0, 10, 50, 10 + 40 * share] for share in (0.9, 0.75, 0.65, 0.55)])
    heads.loss(
        features,
        [proposals],
        [objects],
        [torch.tensor([1])],
        [(64, 64)],
        [
            {key: value[:1] for key, value in target(masks=torch.ones(2, 64, 64)).items()}
            | {"boxes": objects}
        ],
        [(64, 64)],
    )
    (sample,) = seen
    iou = box_iou(objects, sample.boxes)[0]
    assert sorted(round(float(x), 2) for x in iou) == [0.75, 0.9, 1.0]


# Layers.


def test_decoder_by_hand():
    """Each level alone, as the panoptic paper has it: convolution, ReLU, twice the size."""
    torch.manual_seed(0)
    decoder = PyramidDecoder(3, 5)
    names = {key.rpartition(".")[0] for key in decoder.state_dict()}
    assert names == {"p2.0", "p3.0", "p4.0", "p4.2", "p5.0", "p5.2", "p5.4", "predictor"}
    levels = {str(i): torch.rand(2, 3, 32 >> i, 40 >> i) for i in range(4)}
    total = 0
    for i, convolutions in enumerate(((0,), (0,), (0, 2), (0, 2, 4))):
        x = levels[str(i)]
        for number in convolutions:
            layer = decoder.get_submodule(f"p{i + 2}.{number}")
            x = F.conv2d(x, layer.weight, layer.bias, padding=1).relu()
            if i:
                x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
        total = total + x
    expected = F.conv2d(total, decoder.predictor.weight, decoder.predictor.bias)
    torch.testing.assert_close(decoder(levels), expected)


def test_pooled_from_the_decoded_map():
    torch.manual_seed(0)
    pool = DecodedRoIAlign(PyramidDecoder(3, 5))
    levels = {str(i): torch.rand(1, 3, 32 >> i, 32 >> i) for i in range(4)}
    boxes = torch.tensor([[3.0, 4, 100, 80], [0.0, 0, 20, 20]])
    pooled = pool(levels, [boxes], [(128, 128)])
    rois = torch.cat([torch.zeros(2, 1), boxes], dim=1)
    decoded = pool.decoder(levels)
    torch.testing.assert_close(pooled, roi_align(decoded, rois, 28, 1 / 4, 2, aligned=False))


def test_predictor_has_its_maps_in_order():
    predictor = DensePosePredictor(4, CHARTS)
    for i, layer in enumerate(predictor.children()):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.constant_(layer.bias, i)
    maps = SurfaceMaps.of(predictor(torch.rand(2, 4, 7, 7)))
    for i, (name, channels) in enumerate((("body", 2), ("charts", 4), ("u", 4), ("v", 4))):
        part = getattr(maps, name)
        assert part.shape == (2, channels, 28, 28) and (part == i).all()


# On pixels.


@pytest.mark.parametrize("band", [2**24, 100])
def test_surface_on_pixels_by_hand(monkeypatch, band):
    monkeypatch.setattr(densepose_branch, "BAND", band)
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(2 + 3 * (CHARTS + 1), SIZE, SIZE, generator=generator)
    box, window = torch.tensor([2.4, 1.0, 17.0, 9.7]), (2, 1, 17, 10)
    surface = surface_on_pixels(maps, box, window)
    x1, y1, x2, y2 = box.tolist()
    images, on = maps.tolist(), 0
    for y in range(1, 10):
        for x in range(2, 17):
            column, line = ((x + 0.5 - x1) / (x2 - x1), (y + 0.5 - y1) / (y2 - y1))
            values = [at_place(image, column * SIZE, line * SIZE) for image in images]
            expected = [0.0, 0.0, 0.0]
            if 0 <= column < 1 and 0 <= line < 1 and values[1] > values[0]:
                charts = values[2 : 3 + CHARTS]
                chart = charts.index(max(charts))
                if chart:
                    u, v = values[3 + CHARTS + chart], values[4 + 2 * CHARTS + chart]
                    expected = [chart, min(max(u, 0), 1), min(max(v, 0), 1)]
                    on += 1
            assert surface[:, y - 1, x - 2].tolist() == pytest.approx(expected, abs=1e-5)
    assert on > 20


@pytest.mark.parametrize("window", [(0, 0, 0, 0), (3, 3, 3, 9), (3, 3, 9, 3)])
def test_an_empty_window(window):
    maps = torch.randn(2 + 3 * (CHARTS + 1), SIZE, SIZE)
    left, top, right, bottom = window
    surface = surface_on_pixels(maps, torch.tensor([1.0, 2, 3, 3]), window)
    assert surface.shape == (3, bottom - top, right - left)


def test_fields_are_the_maps():
    output = torch.rand(2, 2 + 3 * (CHARTS + 1), SIZE, SIZE)
    found = FoundBoxes(torch.zeros(2, 4), torch.ones(2), torch.tensor([1, 1]))
    fields = DensePoseBranch(CHARTS).fields(output, found, Frame((9, 9), (9, 9)))
    assert fields["surface"] is output
