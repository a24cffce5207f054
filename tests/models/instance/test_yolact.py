"""YOLACT as the paper and dbolya/yolact have it, written anew: keys, priors, losses, detection."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fastcv.models import create_model
from fastcv.models.instance import yolact
from fastcv.nn.backbones.darknet53 import Darknet53Trunk
from fastcv.nn.detection.matching import BELOW, BETWEEN, GreedyMatcher
from fastcv.nn.detection.prototypes import combined

COUNTS = {
    "yolact_resnet50": 31_164_943,
    "yolact_resnet101": 50_157_071,
    "yolact_darknet53": 47_783_087,
}
SMALL = {
    "num_classes": 4,
    "width": 8,
    "channels": 16,
    "prototypes": 6,
    "size": 96,
    "scales": (8, 16, 32, 48, 96),
}


def without_memory(name):
    with torch.device("meta"):
        return create_model(name)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return create_model("yolact_resnet18", **SMALL).eval()


# The networks.


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_parameters(name, count):
    assert sum(p.numel() for p in without_memory(name).parameters()) == count


def expected_heads(classes=81):
    """Shapes by dbolya's keys, from the paper's figures 2 to 4."""
    shapes = {}

    def conv(name, outputs, inputs, kernel):
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (
            (outputs, inputs, kernel, kernel),
            outputs,
        )

    for i in range(3):
        conv(f"fpn.pred_layers.{i}", 256, 256, 3)
    for i in range(2):
        conv(f"fpn.downsample_layers.{i}", 256, 256, 3)
    for i in (0, 2, 4, 8):
        conv(f"proto_net.{i}", 256, 256, 3)
    conv("proto_net.10", 32, 256, 1)
    conv("prediction_layers.0.upfeature.0", 256, 256, 3)
    conv("prediction_layers.0.bbox_layer", 3 * 4, 256, 3)
    conv("prediction_layers.0.conf_layer", 3 * classes, 256, 3)
    conv("prediction_layers.0.mask_layer", 3 * 32, 256, 3)
    conv("semantic_seg_conv", classes - 1, 256, 1)
    return shapes, conv


@pytest.mark.parametrize(
    ("name", "deepest_first"),
    [
        ("yolact_resnet50", (2048, 1024, 512)),
        ("yolact_resnet101", (2048, 1024, 512)),
        ("yolact_darknet53", (1024, 512, 256)),
    ],
)
def test_keys_of_the_heads(name, deepest_first):
    expected, conv = expected_heads()
    for i, inputs in enumerate(deepest_first):
        conv(f"fpn.lat_layers.{i}", 256, inputs, 1)
    state = without_memory(name).state_dict()
    got = {key: value for key, value in state.items() if not key.startswith("backbone.")}
    assert {k: tuple(v.shape) if v.ndim > 1 else len(v) for k, v in got.items()} == expected


def theirs(name):
    """A state dict with the keys of dbolya's version 1.2, of random values."""
    model = create_model(name, num_classes=3)
    state = {key: torch.rand(v.shape).to(v.dtype) for key, v in model.state_dict().items()}
    named = {}
    for key, value in state.items():
        for i in range(4):
            key = key.replace(f"backbone.layer{i + 1}.", f"backbone.layers.{i}.")
        named[key] = value
    assert any(key.startswith("backbone.layers.3.0.") for key in named)
    return model, state, named


def test_dbolyas_files_load():
    model, state, named = theirs("yolact_resnet50")
    assert "backbone.layers.2.5.conv3.weight" in named
    model.load_state_dict(named)
    assert all(torch.equal(model.state_dict()[key], value) for key, value in state.items())


def test_old_files_load():
    """They have the trunk twice, and layers below P7."""
    model, state, named = theirs("yolact_resnet50")
    old = {key: value for key, value in state.items() if key.startswith("backbone.layer")}
    for i in (2, 3, 4):
        old[f"fpn.downsample_layers.{i}.weight"] = torch.rand(256, 256, 3, 3)
        old[f"fpn.downsample_layers.{i}.bias"] = torch.rand(256)
    model.load_state_dict({**named, **old})
    assert all(torch.equal(model.state_dict()[key], value) for key, value in state.items())


def test_darknets_files_load():
    """Their keys are ours."""
    state = without_memory("yolact_darknet53").state_dict()
    assert {"backbone._preconv.0.weight", "backbone.layers.0.0.1.running_mean"} <= set(state)
    assert state["backbone.layers.2.8.conv2.0.weight"].shape == (256, 128, 3, 3)
    assert "backbone.layers.4.4.conv1.1.num_batches_tracked" in state
    assert "backbone.layers.4.5.conv1.0.weight" not in state


def test_darknet53_is_table_1():
    trunk = Darknet53Trunk(width=2).eval()
    convolutions = [m for m in trunk.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 52  # and a classifier
    assert trunk.out_channels == (4, 8, 16, 32, 64)
    maps = trunk(torch.rand(1, 3, 64, 96))
    assert [tuple(x.shape[1:]) for x in maps] == [
        (4 * 2**i, 32 // 2**i, 48 // 2**i) for i in range(5)
    ]
    block = trunk.layers[1][1]
    x = torch.randn(1, 8, 5, 5)
    y = F.leaky_relu(block.conv1[1](block.conv1[0](x)), 0.1)
    y = F.leaky_relu(block.conv2[1](block.conv2[0](y)), 0.1)
    torch.testing.assert_close(block(x), x + y)


def test_fpn_and_heads_by_hand(model):
    """The pyramid from the deepest map upwards; prototypes twice as large as the finest level."""
    tensors = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        c3, c4, c5 = model.backbone(tensors)[1:]
        fpn, conv = model.fpn, F.conv2d
        s5 = fpn.lat_layers[0](c5)
        s4 = fpn.lat_layers[1](c4) + F.interpolate(s5, scale_factor=2, mode="bilinear")
        s3 = fpn.lat_layers[2](c3) + F.interpolate(s4, scale_factor=2, mode="bilinear")
        p5, p4, p3 = (fpn.pred_layers[i](s).clamp(min=0) for i, s in enumerate((s5, s4, s3)))
        p6, p7 = fpn.downsample_layers[0](p5), None
        p7 = fpn.downsample_layers[1](p6)
        for got, expected in zip(model.pyramid(tensors), (p3, p4, p5, p6, p7), strict=True):
            torch.testing.assert_close(got, expected)
        logits, deltas, coefficients, prototypes, priors, finest = model.dense(tensors)
        x = p3
        for i in (0, 2, 4):
            layer = model.proto_net[i]
            x = conv(x, layer.weight, layer.bias, padding=1).clamp(min=0)
        x = F.interpolate(x, scale_factor=2, mode="bilinear")
        x = model.proto_net[8](x).clamp(min=0)
        torch.testing.assert_close(prototypes, model.proto_net[10](x).clamp(min=0))
        head = model.prediction_layers[0]
        shared = head.upfeature[0](p4).clamp(min=0)
        cell = (12 * 12 + 2 * 6 + 4) * 3  # of P4, row 2, column 4
        masks = head.mask_layer(shared)[0, :, 2, 4].reshape(3, 6).tanh()
        torch.testing.assert_close(coefficients[0, cell : cell + 3], masks)
        classes = head.conf_layer(shared)[0, :, 2, 4].reshape(3, 4)
        torch.testing.assert_close(logits[0, cell : cell + 3], classes)
        offsets = head.bbox_layer(shared)[0, :, 2, 4].reshape(3, 4)
        torch.testing.assert_close(deltas[0, cell : cell + 3], offsets)
    assert torch.equal(finest, model.pyramid(tensors)[0])
    assert prototypes.shape == (1, 6, 24, 24) and prototypes.min() == 0
    assert len(priors) == 3 * (12**2 + 6**2 + 3**2 + 2**2 + 1)


# Input and priors.


@pytest.mark.parametrize("square", [True, False])
def test_priors_of_the_published_networks(square):
    priors = yolact.LevelPriors(yolact.SCALES, square_anchors=square)
    maps = [torch.empty(1, 1, n, n) for n in (69, 35, 18, 9, 5)]
    got = priors((550, 550), maps)
    expected = []
    for n, scale in zip((69, 35, 18, 9, 5), (24, 48, 96, 192, 384), strict=True):
        for row in range(n):
            for column in range(n):
                for ratio in (1, 1 / 2, 2):
                    w = scale * math.sqrt(ratio)
                    h = w if square else scale / math.sqrt(ratio)
                    x, y = (column + 0.5) / n * 550, (row + 0.5) / n * 550
                    expected.append((x - w / 2, y - h / 2, x + w / 2, y + h / 2))
    assert len(got) == 19_248
    torch.testing.assert_close(got, torch.tensor(expected), rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("name", COUNTS)
def test_published_networks_have_square_priors(name):
    assert without_memory(name).priors.square_anchors


def test_priors_need_a_map_for_each_scale():
    with pytest.raises(ValueError, match="LevelPriors: expected 5 maps, got 2"):
        yolact.LevelPriors(yolact.SCALES)((8, 8), [torch.empty(1, 1, 2, 2)] * 2)


def test_pictures_become_550_squares():
    """dbolya subtracts BGR means of 0 to 255 and swaps channels; ours is of RGB in [0, 1]."""
    transform = create_model("yolact_resnet18", **{**SMALL, "size": 550}).transform
    colour = torch.tensor([0.2, 0.5, 0.9])
    batch = transform([colour[:, None, None].expand(3, 40, 90), torch.rand(3, 60, 30)])
    assert batch.tensors.shape == (2, 3, 550, 550) and batch.sizes == [(550, 550)] * 2
    bgr_mean, bgr_std = (103.94, 116.78, 123.68), (57.38, 57.12, 58.40)
    bgr = (colour.flip(0) * 255 - torch.tensor(bgr_mean)) / torch.tensor(bgr_std)
    expected = bgr.flip(0)[:, None, None].expand(3, 550, 550)
    torch.testing.assert_close(batch.tensors[0], expected, rtol=1e-4, atol=1e-4)


def test_darknet_takes_pictures_as_they_are():
    transform = without_memory("yolact_darknet53").transform
    assert not transform.mean.any() and bool((transform.std == 1).all())


# Matching.


def greedy(iou, high, low):
    """Object by object, the best overlap of all that are left first."""
    iou = iou.astype(float)
    best, match = iou.max(0), iou.argmax(0)
    for _ in range(len(iou)):
        row, prior = divmod(int(iou.argmax()), iou.shape[1])
        if iou[row, prior] <= 0:
            break
        best[prior], match[prior] = 2, row
        iou[row], iou[:, prior] = -1, -1
    return [
        m if b >= high else BETWEEN if b >= low else BELOW for m, b in zip(match, best, strict=True)
    ]


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (6, 9), (9, 4)])
def test_matches(seed, shape):
    iou = np.random.default_rng(seed).random(shape).round(2)
    iou[np.random.default_rng(seed + 99).random(shape) < 0.4] = 0
    got = GreedyMatcher(0.7, 0.5)(torch.from_numpy(iou))
    assert got.tolist() == greedy(iou, 0.7, 0.5)


def test_nothing_to_match():
    assert GreedyMatcher(0.5, 0.4)(torch.zeros(0, 3)).tolist() == [BELOW] * 3
    assert GreedyMatcher(0.5, 0.4)(torch.zeros(3, 0)).tolist() == []


# The losses, number by number.


def scene(size, boxes, labels, seed=0, **more):
    height, width = size
    masks = torch.rand(len(boxes), height, width, generator=torch.Generator().manual_seed(seed))
    boxes = torch.tensor(boxes).reshape(-1, 4)
    for mask, box in zip(masks, boxes.long().tolist(), strict=True):
        mask[: box[1]], mask[box[3] :], mask[:, : box[0]], mask[:, box[2] :] = 0, 0, 0, 0
    labels = torch.tensor(labels, dtype=torch.int64)
    return {"boxes": boxes, "labels": labels, "masks": masks > 0.4, **more}


SCENES = [  # sizes are not those of the batch; two objects at one place; a crowd
    ((48, 96), [[10.0, 8, 60, 40], [12.0, 10, 62, 42], [70.0, 4, 90, 44]], [1, 3, 2], None),
    ((96, 96), [[30.0, 30, 64, 70], [0.0, 0, 96, 50]], [2, 1], [False, True]),
    ((60, 50), [], [], None),
]


@pytest.fixture(scope="module")
def targets():
    made = []
    for size, boxes, labels, crowd in SCENES:
        more = {} if crowd is None else {"iscrowd": torch.tensor(crowd)}
        made.append(scene(size, boxes, labels, **more))
    return made


@pytest.fixture(scope="module")
def output(model, targets):
    generator = torch.Generator().manual_seed(3)
    images = [torch.rand(3, *size, generator=generator) for size, *_ in SCENES]
    with torch.no_grad():
        output = model(images)
        return output._replace(
            logits=torch.randn(output.logits.shape, generator=generator) * 2,
            deltas=torch.randn(output.deltas.shape, generator=generator),
            coefficients=torch.randn(output.coefficients.shape, generator=generator).tanh(),
            prototypes=torch.randn(output.prototypes.shape, generator=generator).relu() * 2,
        )


def overlap(a, b):
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    return max(w, 0) * max(h, 0)


def area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def assigned(target, size, priors):
    """Each prior's object, ``BELOW`` or ``BETWEEN``; objects' boxes in pixels of the batch."""
    scale = [96 / size[1], 96 / size[0]] * 2
    crowd = target.get("iscrowd", torch.zeros(len(target["boxes"]))).bool().tolist()
    boxes = [[c * s for c, s in zip(box, scale, strict=True)] for box in target["boxes"].tolist()]
    objects = [box for box, flag in zip(boxes, crowd, strict=True) if not flag]
    crowds = [box for box, flag in zip(boxes, crowd, strict=True) if flag]
    if not objects:
        return objects, [BELOW] * len(priors)
    iou = np.array(
        [[overlap(o, p) / (area(o) + area(p) - overlap(o, p)) for p in priors] for o in objects]
    )
    matches = greedy(iou, 0.5, 0.4)
    for i, prior in enumerate(priors):
        inside = any(overlap(prior, c) / area(prior) > 0.7 for c in crowds)
        if matches[i] == BELOW and inside:
            matches[i] = BETWEEN
    return objects, matches


def smooth_l1(x):
    return 0.5 * x * x if abs(x) < 1 else abs(x) - 0.5


def offsets(box, prior):
    """SSD's, with variances 0.1 and 0.2."""
    w, h = prior[2] - prior[0], prior[3] - prior[1]
    return (
        ((box[0] + box[2]) - (prior[0] + prior[2])) / 2 / w / 0.1,
        ((box[1] + box[3]) - (prior[1] + prior[3])) / 2 / h / 0.1,
        math.log((box[2] - box[0]) / w) / 0.2,
        math.log((box[3] - box[1]) / h) / 0.2,
    )


def cross_entropy(probability, is_on):
    return -math.log(probability if is_on else 1 - probability)


def single(target):
    flags = target.get("iscrowd", torch.zeros(len(target["boxes"]))).bool()
    return target["masks"][~flags], target["labels"][~flags].tolist()


def smaller(masks, size):
    if not len(masks):
        return []
    return (F.interpolate(masks[None].float(), size, mode="bilinear")[0] > 0.5).tolist()


def expected_losses(model, output, targets):
    priors = output.priors.tolist()
    classification = box = mask = semantic = 0.0
    count = 0
    with torch.no_grad():
        maps = model.semantic_seg_conv(output.finest).sigmoid().tolist()
    for i, (target, (size, *_)) in enumerate(zip(targets, SCENES, strict=True)):
        objects, matches = assigned(target, size, priors)
        masks, labels = single(target)
        positive = [p for p, match in enumerate(matches) if match >= 0]
        count += len(positive)
        logits = output.logits[i].double()
        costs = (logits.logsumexp(1)[:, None] - logits).tolist()
        negatives = sorted((costs[p][0] for p, m in enumerate(matches) if m == BELOW), reverse=True)
        classification += sum(costs[p][labels[matches[p]]] for p in positive)
        classification += sum(negatives[: 3 * len(positive)])
        small = smaller(masks, (24, 24))
        prototypes = output.prototypes[i].double().numpy()
        for p in positive:
            matched = objects[matches[p]]
            target_deltas = offsets(matched, priors[p])
            box += sum(
                smooth_l1(d - w)
                for d, w in zip(output.deltas[i, p].tolist(), target_deltas, strict=True)
            )
            x1, y1, x2, y2 = (c / 4 for c in matched)  # 96 pixels, 24 samples
            weights = output.coefficients[i, p].double().numpy()
            total = 0.0
            for y in range(24):
                for x in range(24):
                    if x1 - 1 <= x < x2 + 1 and y1 - 1 <= y < y2 + 1:
                        value = 1 / (1 + math.exp(-float(weights @ prototypes[:, y, x])))
                        total += cross_entropy(value, small[matches[p]][y][x])
            mask += total / ((x2 - x1) * (y2 - y1))
        small = smaller(masks, (12, 12))
        for c, of_class in enumerate(maps[i]):
            for y in range(12):
                for x in range(12):
                    of_label = zip(small, labels, strict=True)
                    on = any(m[y][x] for m, label in of_label if label == c + 1)
                    semantic += cross_entropy(of_class[y][x], on) / 12 / 12
    return {
        "classification": classification / count,
        "bbox_regression": 1.5 * box / count,
        "mask": 6.125 * mask / count,
        "semantic": semantic / len(targets),
    }


def test_losses_by_hand(model, output, targets):
    with torch.no_grad():
        got = model.loss(output, targets)
    expected = expected_losses(model, output, targets)
    assert list(got) == list(expected) and all(value > 0.1 for value in expected.values())
    for name, value in expected.items():
        assert got[name].item() == pytest.approx(value, rel=1e-4), name


def test_more_masks_than_are_looked_at(model, output, targets, monkeypatch):
    """Where all priors say the same, a sample of them, scaled, costs what all do."""
    first = targets[0]
    one = {key: value[:1] for key, value in first.items()}
    targets = [one, scene((96, 96), [], []), targets[2]]
    alike = output._replace(coefficients=torch.full_like(output.coefficients, 0.3))
    with torch.no_grad():
        all_of_them = model.loss(alike, targets)["mask"]
        monkeypatch.setattr(yolact, "MAX_MASKS", 2)
        torch.testing.assert_close(model.loss(alike, targets)["mask"], all_of_them)
    assert all_of_them > 0


def test_a_scene_without_objects(model):
    empty = scene((40, 60), [], [])
    output = model.train()([torch.rand(3, 40, 60)])
    losses = model.eval().loss(output, [empty])
    sum(losses.values()).backward()
    zero = [name for name, loss in losses.items() if loss == 0]
    assert zero == ["classification", "bbox_regression", "mask"]
    assert model.semantic_seg_conv.weight.grad.any()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    model.zero_grad()


@pytest.mark.parametrize("box", [[3.0, 3, 3.01, 3.01], [0.0, 0, 60, 40], [-9.0, -9, 99, 99]])
def test_masks_of_no_pixels(model, box):
    target = scene((40, 60), [box], [2])
    target["masks"][:] = False
    losses = model.loss(model([torch.rand(3, 40, 60)]), [target])
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values()) and losses["mask"] < 1e3
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    model.zero_grad()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"masks": None}, r"targets\[0\] must have a tensor 'masks', has "),
        (
            {"masks": torch.zeros(1, 40, 59)},
            r"targets\[0\]: masks must be \[1, 40, 60\], as the im",
        ),
        (
            {"masks": torch.zeros(2, 40, 60)},
            r"targets\[0\]: masks must be 1, one for each box, got",
        ),
        ({"labels": torch.tensor([4])}, r"targets\[0\]: the label of box 0 must be 1 to 3"),
    ],
)
def test_wrong_targets(model, change, message):
    target = scene((40, 60), [[3.0, 3, 30, 30]], [2]) | change
    target = {key: value for key, value in target.items() if value is not None}
    output = model([torch.rand(3, 40, 60)])
    with pytest.raises(ValueError, match=message):
        model.loss(output, [target])


# Detection.


def fast_nms_by_hand(boxes, scores, threshold, top_k):
    """Pairs (box, class) by falling score: a box goes if any better one of the class is near."""
    pairs = []
    for label, row in enumerate(scores):
        order = sorted(range(len(boxes)), key=lambda i: -row[i])[:top_k]
        for rank, i in enumerate(order):
            near = [
                overlap(boxes[i], boxes[j])
                / (area(boxes[i]) + area(boxes[j]) - overlap(boxes[i], boxes[j]))
                for j in order[:rank]
            ]
            if max(near, default=0) <= threshold:
                pairs.append((row[i], i, label))
    return sorted(pairs, reverse=True)


def test_detect_by_hand(model, output):
    found = model.detect(output, score_threshold=0.3, iou_threshold=0.4, max_detections=50)
    for i, (got, (size, *_)) in enumerate(zip(found, SCENES, strict=True)):
        scores = output.logits[i].softmax(1)[:, 1:]
        above = (scores.amax(1) > 0.3).nonzero().flatten()
        boxes = model.box_coder.decode(output.deltas[i][above], output.priors[above]).tolist()
        pairs = fast_nms_by_hand(boxes, scores[above].T.tolist(), 0.4, yolact.TOP_K)
        pairs = [pair for pair in pairs if pair[0] > 0.3][:50]
        assert len(pairs) == 50
        assert got.scores.tolist() == pytest.approx([score for score, *_ in pairs])
        assert got.labels.tolist() == [label + 1 for *_, label in pairs]
        to_image = torch.tensor([size[1] / 96, size[0] / 96] * 2)
        expected = torch.tensor([boxes[b] for _, b, _ in pairs]).clamp(0, 96) * to_image
        torch.testing.assert_close(got.boxes, expected, rtol=1e-4, atol=1e-3)


def test_fast_nms_keeps_what_exact_nms_keeps(model, output):
    options = {"score_threshold": 0.4, "iou_threshold": 0.2, "max_detections": 10_000}
    fast = model.detect(output, **options)
    exact = model.detect(output, nms="exact", **options)
    for a, b in zip(fast, exact, strict=True):
        some, more = (
            {tuple(row) for row in torch.cat([f.boxes, f.labels[:, None]], 1).tolist()}
            for f in (a, b)
        )
        assert 20 < len(some) < len(more) and some < more
        assert bool((b.scores.diff() <= 0).all())


def test_refuses_another_nms(model, output):
    with pytest.raises(ValueError, match="nms must be 'fast' or 'exact', got 'slow'"):
        model.detect(output, nms="slow")


@pytest.mark.parametrize("nms", ["fast", "exact"])
@pytest.mark.parametrize("field", ["logits", "deltas", "coefficients", "prototypes"])
def test_nan(model, output, nms, field):
    """NaN is never found: no score is above the threshold, no pixel above its own."""
    wrong = output._replace(**{field: torch.full_like(getattr(output, field), math.nan)})
    for found in model.postprocess(wrong, nms=nms, score_threshold=0.3):
        assert not found.masks.any()
        assert len(found) == 0 or field != "logits"


def test_masks_are_prototypes_times_coefficients(model, output):
    """The combination as the paper writes it, and the mask as torch would draw it."""
    prototypes, coefficients = output.prototypes[0], output.coefficients[0, :7]
    logits = combined(prototypes, coefficients)
    expected = (prototypes.permute(1, 2, 0) @ coefficients.T).permute(2, 0, 1)
    torch.testing.assert_close(logits, expected)
    found = model.postprocess(output, score_threshold=0.4, max_detections=20)
    kept = model._detect(output, score_threshold=0.4, max_detections=20)
    for i, (instances, (boxes, weights), (size, *_)) in enumerate(
        zip(found, kept, SCENES, strict=True)
    ):
        assert torch.equal(instances.boxes, boxes.boxes) and len(instances) == 20
        assert torch.equal(instances.fields["coefficients"], weights)
        small = combined(output.prototypes[i].double(), weights.double()).sigmoid()
        scaled = boxes.boxes * torch.tensor([24 / size[1], 24 / size[0]] * 2)
        at = torch.arange(24)
        for mask, (x1, y1, x2, y2) in zip(small, scaled, strict=True):
            mask[~((at >= y1 - 1) & (at < y2 + 1))] = 0
            mask[:, ~((at >= x1 - 1) & (at < x2 + 1))] = 0
        value = F.interpolate(small[None], size, mode="bilinear")[0]
        tie = (value - 0.5).abs() < 1e-5
        assert torch.equal(instances.masks | tie, (value > 0.5) | tie) and instances.masks.any()


def test_tiny_pictures(model):
    found = model.predict([torch.rand(3, 1, 1), torch.rand(3, 1, 50)], score_threshold=0.0)
    assert [f.masks.shape[1:] for f in found] == [(1, 1), (1, 50)]
