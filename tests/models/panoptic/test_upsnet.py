"""UPSNet as the paper and its published program have it: parameters, keys, losses, inference."""

import math
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from small_models import make_small
from torch.nn import functional as F

import fastcv
from fastcv.classes import class_names
from fastcv.models import create_model
from fastcv.nn.backbones.global_context import add_global_context
from fastcv.nn.panoptic.instance_selection import without_covered
from fastcv.nn.panoptic.panoptic_logits import panoptic_logits
from fastcv.nn.panoptic.targets import panoptic_targets

CITYSCAPES = {"num_classes": 19, "num_stuff": 11, "gap": False}
NAME = "upsnet_resnet18_fpn"


def without_memory(**config):
    with torch.device("meta"):
        return create_model("upsnet_resnet50_fpn", **config)


# The network.


@pytest.mark.parametrize(
    ("config", "count"),
    [
        ({}, 46_129_904),
        (CITYSCAPES, 45_159_374),
        # Its published configuration of Cityscapes has one layer less: 256 x 256 x 9 + 256, and
        # offsets of 256 x 18 x 9 + 18.
        ({**CITYSCAPES, "semantic_layers": 2}, 45_159_374 - 590_080 - 41_490),
    ],
)
def test_parameters(config, count):
    assert sum(p.numel() for p in without_memory(**config).parameters()) == count


def published_keys(stuff=53, things=80, gap=True, layers=3):
    """Shapes by the published program's keys, from its structure."""
    shapes = {}

    def layer(name, *weight):
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = weight, weight[:1]

    def conv_norm(conv, norm, *weight):
        shapes[f"{conv}.weight"] = weight
        for kind in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{kind}"] = weight[:1]
        shapes[f"{norm}.num_batches_tracked"] = ()

    stem = "resnet_backbone.conv1"
    conv_norm(f"{stem}.conv1", f"{stem}.bn1", 64, 3, 7, 7)
    inputs = 64
    for stage, blocks in ((2, 3), (3, 4), (4, 6), (5, 3)):
        width = 64 * 2 ** (stage - 2)
        for i in range(blocks):
            block = f"resnet_backbone.res{stage}.layers.{i}"
            conv_norm(f"{block}.conv1", f"{block}.bn1", width, inputs, 1, 1)
            conv_norm(f"{block}.conv2", f"{block}.bn2", width, width, 3, 3)
            conv_norm(f"{block}.conv3", f"{block}.bn3", 4 * width, width, 1, 1)
            if i == 0:
                conv_norm(f"{block}.downsample.0", f"{block}.downsample.1", 4 * width, inputs, 1, 1)
            inputs = 4 * width
        layer(f"fpn.fpn_p{stage}_1x1", 256, inputs, 1, 1)
        layer(f"fpn.fpn_p{stage}", 256, 256, 3, 3)
    if gap:
        layer("fpn.fpn_gap", 256, 2048)
    layer("rpn.conv_proposal.0", 256, 256, 3, 3)
    layer("rpn.cls_score", 3, 256, 1, 1)
    layer("rpn.bbox_pred", 12, 256, 1, 1)
    layer("rcnn.fc6.0", 1024, 256 * 7 * 7)
    layer("rcnn.fc7.0", 1024, 1024)
    layer("rcnn.cls_score", 1 + things, 1024)
    layer("rcnn.bbox_pred", 4 * (1 + things), 1024)
    for i in (1, 2, 3, 4):
        layer(f"mask_branch.mask_conv{i}.0", 256, 256, 3, 3)
    layer("mask_branch.mask_deconv1.0", 256, 256, 2, 2)
    layer("mask_branch.mask_score", 1 + things, 256, 1, 1)
    widths = [256] * (layers - 1) + [128, 128]
    for i in range(layers):
        subnet = f"fcn_head.fcn_subnet.conv.{i}.0"
        layer(f"{subnet}.conv_offset", 18, widths[i], 3, 3)
        layer(f"{subnet}.conv", widths[i + 1], widths[i], 3, 3)
    layer("fcn_head.score", stuff + things, 512, 1, 1)
    return shapes


@pytest.mark.parametrize(
    ("config", "structure"),
    [
        ({}, {}),
        (CITYSCAPES, {"stuff": 11, "things": 8, "gap": False}),
        (
            {**CITYSCAPES, "semantic_layers": 2},
            {"stuff": 11, "things": 8, "gap": False, "layers": 2},
        ),
    ],
)
def test_keys(config, structure):
    model = without_memory(**config)
    expected = {model.rename_key(k): shape for k, shape in published_keys(**structure).items()}
    assert {key: tuple(x.shape) for key, x in model.state_dict().items()} == expected


def test_published_files_load():
    """With values, by the published keys; and ours are left as they are."""
    model = create_model("upsnet_resnet50_fpn", **CITYSCAPES)
    shapes = published_keys(stuff=11, things=8, gap=False)
    state = {key: torch.rand(shape) for key, shape in shapes.items()}
    model.load_state_dict({k: x.long() if x.ndim == 0 else x for k, x in state.items()})
    assert torch.equal(
        model.semantic_head.subnet[2][0].conv_offset.weight,
        state["fcn_head.fcn_subnet.conv.2.0.conv_offset.weight"],
    )
    assert torch.equal(
        model.backbone.body.layer4[2].conv3.weight,
        state["resnet_backbone.res5.layers.2.conv3.weight"],
    )
    assert all(model.rename_key(key) == key for key in model.state_dict())


def test_strides_are_in_the_first_convolution():
    trunk = without_memory().backbone.body
    for stage in (trunk.layer2, trunk.layer3, trunk.layer4):
        assert stage[0].conv1.stride == (2, 2) and stage[0].conv2.stride == (1, 1)
        assert all(block.conv1.stride == (1, 1) for block in stage[1:])


def test_pixels_are_caffes():
    transform = create_model("upsnet_resnet50_fpn", **CITYSCAPES, min_size=32).transform
    image = torch.rand(3, 32, 32)
    (got,) = transform([image]).tensors
    mean = torch.tensor([102.9801, 115.9465, 122.7717])[:, None, None]
    torch.testing.assert_close(got, image.flip(0) * 255 - mean, rtol=1e-4, atol=1e-3)


def test_the_pyramid_knows_the_whole_picture():
    """``gap`` adds to P5 what it makes of C5's mean; that goes down the pyramid."""
    torch.manual_seed(0)
    fpn = fastcv.nn.FeaturePyramidNetwork([4, 6], 3)
    maps = {"0": torch.randn(2, 4, 8, 8), "1": torch.randn(2, 6, 4, 4)}
    inner = [block(x) for block, x in zip(fpn.inner_blocks, maps.values(), strict=True)]
    add_global_context(fpn, 6, 3)
    deepest = inner[1] + fpn.inner_blocks[1].gap(maps["1"].mean((2, 3)))[:, :, None, None]
    expected = [fpn.layer_blocks[0](inner[0] + F.interpolate(deepest, scale_factor=2))]
    expected.append(fpn.layer_blocks[1](deepest))
    for a, b in zip(fpn(maps).values(), expected, strict=True):
        torch.testing.assert_close(a, b)


def test_names_of_cocos_classes():
    names = class_names("coco_panoptic")
    assert len(names) == len(set(names)) == 133
    things = [name for name in class_names("coco")[1:] if name != "(unused)"]
    assert list(names[53:]) == things and names[0] == "banner" and names[52] == "rug-merged"
    model = without_memory()
    assert model.classes == names and model.things == tuple(range(53, 133))


@pytest.mark.parametrize(("classes", "stuff"), [(2, 1), (5, 4), (300, 7)])
def test_other_numbers_of_classes(classes, stuff):
    model = make_small(NAME, num_classes=classes, num_stuff=stuff)
    assert len(model.classes) == classes and len(model.things) == classes - stuff
    (found,) = model.predict(torch.rand(3, 50, 64), score_threshold=0.0, max_detections=3)
    assert found.classes == model.classes and found.things == model.things


@pytest.mark.parametrize(("classes", "stuff"), [(3, 0), (3, 3), (3, 4), (1, 1)])
def test_no_stuff_or_no_things(classes, stuff):
    with pytest.raises(ValueError, match=rf"num_stuff must be 1 to {classes - 1}, .* got {stuff}"):
        make_small(NAME, num_classes=classes, num_stuff=stuff)


def test_weights_of_other_classes(tmp_path):
    """What depends on the classes begins anew; stuff must be as many, or a sentence says so."""
    trained = make_small(NAME, num_classes=9, num_stuff=4)
    fastcv.save_model(tmp_path / "ours.safetensors", trained)
    torch.save(trained.state_dict(), tmp_path / "plain.pth")
    numbers = ("num_classes", "num_stuff")
    config = {k: v for k, v in trained.model_config.items() if k not in numbers}
    for path in (tmp_path / "ours.safetensors", tmp_path / "plain.pth"):
        with pytest.warns(UserWarning, match=r"semantic_head\.score\.weight"):
            model = create_model(NAME, weights=str(path), num_classes=7, num_stuff=4, **config)
        for key, value in model.state_dict().items():
            if value.shape == trained.state_dict()[key].shape:
                assert torch.equal(value, trained.state_dict()[key])
        with pytest.raises(ValueError, match=r"roi_heads|semantic_head") as error:
            create_model(NAME, weights=str(path), num_classes=7, num_stuff=3, **config)
        assert "\n" not in str(error.value)


# Losses.


def street(size=(60, 80), labels=(2, 3)):
    """Boxes of things side by side on a ground of stuff 0 and 1, and void."""
    semantic = torch.zeros(size, dtype=torch.int64)
    semantic[:, size[1] // 2 :] = 1
    semantic[-5:] = 255
    boxes, masks = [], []
    for i, label in enumerate(labels):
        x, y = 4 + 22 * i, 6 + 4 * i
        mask = torch.zeros(size, dtype=torch.bool)
        mask[y : y + 30, x : x + 16] = True
        semantic[mask] = label
        boxes.append([x, y, x + 16, y + 30])
        masks.append(mask)
    return {
        "semantic": semantic,
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "masks": torch.stack(masks) if masks else torch.zeros(0, *size, dtype=torch.bool),
    }


def small(**config):
    return make_small(NAME, num_classes=5, num_stuff=2, **config)


@pytest.fixture(scope="module")
def trained():
    """A model in training mode, its output for a picture of the size of its batch, and a target."""
    model, target = small().train(), street((64, 96))
    return model, model([torch.rand(3, 64, 96)]), target


def test_names_of_losses(trained):
    model, output, target = trained
    losses = model.loss(output, [target])
    of_boxes = ["loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg"]
    own = ["loss_mask", "loss_semantic", "loss_semantic_roi", "loss_panoptic"]
    assert list(losses) == [*of_boxes, *own]


def test_semantic_loss_by_hand(trained):
    model, output, target = trained
    logits = F.interpolate(output.semantic, scale_factor=4, mode="bilinear", align_corners=False)
    chances = logits.log_softmax(1)[0]
    rows, columns = torch.where(target["semantic"] != 255)
    expected = -chances[target["semantic"][rows, columns], rows, columns].mean()
    losses = model.loss(output, [target])
    torch.testing.assert_close(losses["loss_semantic"], 0.2 * expected)


def test_semantic_loss_of_boxes_by_hand(trained):
    """28 x 28 samples of each box; the logits are those of RoIAlign."""
    model, output, target = trained
    total, count = 0.0, 0
    for x1, y1, x2, y2 in target["boxes"].tolist():
        box = torch.tensor([[0.0, x1, y1, x2, y2]])
        chances = fastcv.ops.roi_align(output.semantic, box, 28, 0.25).log_softmax(1)[0]
        for i in range(28):
            for j in range(28):
                y, x = y1 + (i + 0.5) / 28 * (y2 - y1), x1 + (j + 0.5) / 28 * (x2 - x1)
                label = int(target["semantic"][int(y), int(x)])
                total, count = total - chances[label, i, j], count + 1
    losses = model.loss(output, [target])
    torch.testing.assert_close(losses["loss_semantic_roi"], 0.2 * 0.2 * total / count)


@pytest.mark.parametrize("unknown", [True, False])
def test_panoptic_loss_by_hand(unknown):
    """At a quarter of the size; with the unknown class two of three objects are shown."""
    model, target = small(unknown=unknown).train(), street((64, 96), (2, 3, 4))
    output = model([torch.rand(3, 64, 96)])
    torch.manual_seed(3)
    got = model._panoptic_loss(
        output,
        [target],
        [target["boxes"]],
        [target["labels"] - 1],
        target["semantic"][None, 2::4, 2::4],
    )
    torch.manual_seed(3)
    kept = torch.randperm(3)[:2].sort().values if unknown else torch.arange(3)
    boxes, labels = target["boxes"][kept], target["labels"][kept]
    masks = model.roi_heads.branch_output("mask", output.features, [boxes], [(64, 96)])
    masks = masks[torch.arange(len(kept)), labels - 1]
    logits = panoptic_logits(
        output.semantic[0], boxes / 4, labels, masks, num_stuff=2, unknown=unknown
    )
    expected = panoptic_targets(
        target["semantic"][2::4, 2::4],
        target["masks"][kept][:, 2::4, 2::4],
        num_stuff=2,
        unknown=unknown,
    )
    assert (expected == 4).any() and logits.shape[0] == 5  # the last: unknown, or the third object
    chances = logits.log_softmax(0)
    rows, columns = torch.where(expected >= 0)
    torch.testing.assert_close(got, -chances[expected[rows, columns], rows, columns].mean())


@pytest.mark.parametrize(("objects", "shown"), [(0, 0), (1, 1), (2, 1), (3, 2), (10, 7)])
def test_seven_of_ten_objects_are_shown(objects, shown):
    model = small()
    kept = [model._kept(objects, torch.device("cpu")) for _ in range(30)]
    assert all(len(k) == shown == len(k.unique()) for k in kept)
    if objects > 1:
        assert len({tuple(k.tolist()) for k in kept}) > 1  # others each time
    model.unknown = False
    assert model._kept(objects, torch.device("cpu")).tolist() == list(range(objects))


def test_weights_of_losses():
    target = street((64, 96))
    losses = []
    for config in ({}, {"semantic_weight": 1.0, "panoptic_weight": 0.5}):
        model = small(**config).train()
        torch.manual_seed(0)
        losses.append(model.loss(model([torch.ones(3, 64, 96) / 2]), [target]))
    for name, factor in (
        ("loss_semantic", 5),
        ("loss_semantic_roi", 5),
        ("loss_panoptic", 5),
        ("loss_mask", 1),
    ):
        torch.testing.assert_close(losses[1][name], losses[0][name] * factor)


def test_a_picture_without_things_or_all_void():
    model = small().train()
    images = [torch.rand(3, 60, 80), torch.rand(3, 50, 64)]
    void = {**street((50, 64), ()), "semantic": torch.full((50, 64), 255)}
    losses = model.loss(model(images), [street((60, 80), ()), void])
    assert all(loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    assert model.semantic_head.score.weight.grad.abs().sum() > 0


def test_crowds_are_no_instances():
    """Their pixels stay things of the label map; no box learns from them."""
    model, target = small().train(), street((64, 96), (2, 3, 4))
    target["iscrowd"] = torch.tensor([True, False, False])
    image = torch.rand(3, 64, 96)
    losses = model.loss(model([image]), [target])
    assert all(loss.isfinite() for loss in losses.values())


def test_learns_a_scene():
    """A few steps on one scene: what they all share does not stand in the way of any loss."""
    torch.manual_seed(0)
    model, target = small().train(), street()
    image = torch.full((3, 60, 80), 0.2)
    image[1, :, 40:] = 0.9
    image[2, target["semantic"] >= 2] = 1.0
    image[0, target["semantic"] == 3] = 1.0
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    history = []
    for _ in range(30):
        losses = model.loss(model([image]), [target])
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        history.append(losses)
    for name in ("loss_semantic", "loss_panoptic", "loss_mask", "loss_classifier"):
        last = torch.stack([losses[name].detach() for losses in history[-5:]]).mean()
        assert last < 0.7 * history[0][name], name


# Inference.


def test_the_segments_are_those_of_the_logits():
    """``predict`` beside the panoptic head by hand, at the size of the batch."""
    model, image = small(min_stuff_area=0).eval(), torch.rand(3, 64, 96)
    with torch.no_grad():
        output = model([image])
        (found,) = model.select(output, score_threshold=0.0, max_detections=4)
        assert len(found.boxes) == 4
        (masks,) = model._masks(output, [found.boxes], [found.labels])
        kept = without_covered(found, masks, (64, 96), max_overlap=0.3)
        full = F.interpolate(output.semantic, scale_factor=4, mode="bilinear")[0]
        logits = panoptic_logits(
            full, found.boxes[kept], found.labels[kept] + 1, masks[kept], num_stuff=2
        )
    expected = logits.argmax(0) + 1
    expected[expected == 3 + len(kept)] = 0
    (got,) = model.predict(image, score_threshold=0.0, max_detections=4)
    assert torch.equal(got.segment_map.long(), expected)


def test_the_unknown_class_is_an_option():
    image = torch.rand(3, 64, 96)
    models = [small(min_stuff_area=0, unknown=unknown).eval() for unknown in (True, False)]
    for model in models:
        with torch.no_grad():  # the semantic head sees things everywhere, the detector none
            model.semantic_head.score.bias[2:] = 10
    (found,), (without,) = (model.predict(image, score_threshold=0.999) for model in models)
    assert found.void.all() and not without.void.any()
    assert {segment.label for segment in without.segments} <= {0, 1}


def test_small_stuff():
    image = torch.rand(3, 64, 96)
    model = small(min_stuff_area=64 * 96 + 1, unknown=False)
    (found,) = model.predict(image, score_threshold=0.999)
    assert found.void.all() and not found.segments


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (300, 2), (33, 47)])
def test_pictures_of_any_size(size):
    model = small(min_stuff_area=0)
    (found,) = model.predict(torch.rand(3, *size), score_threshold=0.0, max_detections=3)
    assert found.segment_map.shape == size


def test_nan_is_void():
    """Weights gone wrong: all is void, and nothing is found."""
    model = small()
    with torch.no_grad():
        model.semantic_head.score.bias.fill_(math.nan)
        model.roi_heads.box_predictor.cls_score.bias.fill_(math.nan)
    (found,) = model.predict(torch.rand(3, 64, 96), score_threshold=0.0)
    assert found.void.all() and not found.segments


def test_batches():
    """Each picture as it would be alone, if it is as large as the batch."""
    model = small(min_stuff_area=0).eval()
    images = [torch.rand(3, 64, 96), torch.rand(3, 64, 64), torch.rand(3, 64, 96)]
    options = {"score_threshold": 0.0, "max_detections": 3}
    together = model.predict(images, batch_size=3, **options)
    assert [found.image_size for found in together] == [(64, 96), (64, 64), (64, 96)]
    for i in (0, 2):
        (alone,) = model.predict(images[i], **options)
        assert (alone.segment_map == together[i].segment_map).float().mean() > 0.999


def test_threads():
    """Several at a time find what each finds alone, and the mode stays."""
    model = small(min_stuff_area=0).train()
    images = [torch.rand(3, 64, 96) for _ in range(6)]

    def predict(image):
        (found,) = model.predict(image, score_threshold=0.0, max_detections=3)
        return found.segment_map

    alone = [predict(image) for image in images]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(predict, images))
    assert all((a == b).float().mean() > 0.999 for a, b in zip(alone, together, strict=True))
    assert model.training


def test_optimized():
    model = small(min_stuff_area=0).eval()
    image = torch.rand(3, 64, 96)
    with torch.no_grad():
        expected, got = model([image]), fastcv.optimize(model)([image])
    for a, b in ((got.semantic, expected.semantic), (got.class_logits, expected.class_logits)):
        # Random offsets are large: where samples lie by the last digits moves what they are.
        assert (a - b).abs().max() < 1e-3 * b.abs().max()


def test_output_of_training_mode():
    model = small().train()
    with pytest.raises(ValueError, match="output is of training mode"):
        model.postprocess(model([torch.rand(3, 64, 96)]))
