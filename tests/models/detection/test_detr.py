"""DETR: its sizes, its transformer by the formulas, its loss by hand, and that it learns."""

import math

import pytest
import torch

from fastcv.data import DrawnDigits
from fastcv.metrics import evaluate_detector
from fastcv.models import create_model
from fastcv.models._registry import find_model
from fastcv.nn.layers.sine_position import SinePosition
from fastcv.nn.layers.transformer import Transformer

TINY = {
    "num_classes": 3,
    "width": 8,
    "channels": 16,
    "heads": 2,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "feedforward": 32,
    "num_queries": 5,
    "min_size": 64,
    "max_size": 96,
}
TERMS = {"loss_ce", "loss_bbox", "loss_giou"}


def tiny(**options):
    torch.manual_seed(0)
    return create_model("detr_resnet18", **{**TINY, **options})


def target(*boxes, label=1):
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "labels": torch.full((len(boxes),), label),
    }


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("detr_resnet50", 41_524_768),
        ("detr_resnet50_dc5", 41_524_768),
        ("detr_resnet101", 60_464_672),
        ("detr_resnet101_dc5", 60_464_672),
    ],
)
def test_parameters_and_published_weights(name, count):
    with torch.device("meta"):
        model = create_model(name)
        logits, boxes = model.dense(
            torch.rand(1, 3, 64, 96), torch.zeros(1, 64, 96, dtype=torch.bool)
        )
    assert sum(p.numel() for p in model.parameters()) == count
    assert logits[-1].shape == (1, 100, 92) and boxes[-1].shape == (1, 100, 4)
    (weights,) = find_model(name).weights
    assert weights.url.endswith(f"-{weights.sha256}.pth") and len(weights.sha256) == 8
    assert ("dc5" in weights.url) == ("dc5" in name)
    assert weights.classes[90] == "toothbrush"


def test_the_published_keys():
    with torch.device("meta"):
        keys = set(create_model("detr_resnet50").state_dict())
    assert {
        "transformer.encoder.layers.0.self_attn.in_proj_weight",
        "transformer.decoder.layers.5.multihead_attn.out_proj.bias",
        "transformer.decoder.norm.weight",
        "backbone.0.body.layer4.2.bn3.running_var",
        "input_proj.weight",
        "class_embed.bias",
        "bbox_embed.layers.2.weight",
        "query_embed.weight",
    } <= keys
    # 53 convolutions with 4 constants of a norm each; 12 tensors of an encoder layer, 18 of a
    # decoder layer; the decoder's norm, input_proj, class_embed and bbox_embed in pairs; queries.
    assert len(keys) == 53 * 5 + 6 * 12 + 6 * 18 + 2 + 2 + 2 + 6 + 1


def test_a_checkpoint_under_model(tmp_path):
    """The published files are {"model": state_dict}."""
    model = tiny()
    torch.save({"model": model.state_dict()}, tmp_path / "detr.pth")
    again = create_model("detr_resnet18", weights=str(tmp_path / "detr.pth"), **TINY)
    for key, value in again.state_dict().items():
        assert torch.equal(value, model.state_dict()[key]), key


def test_dc5_has_twice_the_cells():
    image = torch.rand(1, 3, 64, 96)
    for dilated, shape in ((False, (2, 3)), (True, (4, 6))):
        with torch.device("meta"):
            model = create_model("detr_resnet50_dc5" if dilated else "detr_resnet50")
        assert model.backbone[0](image.to("meta")).shape[-2:] == shape


def test_positions_by_the_formula():
    padding = torch.ones(2, 3, 5, dtype=torch.bool)
    padding[0, :3, :4] = False
    padding[1, :2, :5] = False
    found = SinePosition(8)(padding)
    for b, (height, width) in enumerate([(3, 4), (2, 5)]):
        for y in range(height):
            for x in range(width):
                want = []
                for at, size in ((y, height), (x, width)):
                    place = 2 * math.pi * (at + 1) / size
                    for i in range(2):
                        angle = place / 10000 ** (2 * i / 4)
                        want += [math.sin(angle), math.cos(angle)]
                # 1e-6 in the denominator, times 2 pi.
                torch.testing.assert_close(found[b, :, y, x], torch.tensor(want), rtol=0, atol=1e-5)


def attention_by_the_formula(module, query, key, value, padding=None):
    """softmax(q k / sqrt(d)) v for each head, then a projection (Vaswani et al., 2017)."""
    size = query.shape[-1]
    dim = size // module.num_heads
    projected = [
        x @ w.T + b
        for x, w, b in zip(
            (query, key, value),
            module.in_proj_weight.split(size),
            module.in_proj_bias.split(size),
            strict=True,
        )
    ]
    heads = []
    for h in range(module.num_heads):
        q, k, v = (x[..., h * dim : (h + 1) * dim] for x in projected)
        scores = q @ k.transpose(1, 2) / math.sqrt(dim)
        if padding is not None:
            scores = scores.masked_fill(padding[:, None], -math.inf)
        heads.append(scores.softmax(dim=-1) @ v)
    return module.out_proj(torch.cat(heads, dim=-1))


def feedforward(layer, x):
    return layer.linear2(layer.linear1(x).clamp(min=0))


def test_transformer_by_the_formulas():
    torch.manual_seed(0)
    model = Transformer(16, heads=2, encoder_layers=2, decoder_layers=2, feedforward=24).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)  # norms and biases, too
    cells, position = torch.randn(2, 2, 16, 3, 4, dtype=torch.float64)
    query = torch.randn(5, 16, dtype=torch.float64)
    padding = torch.zeros(2, 3, 4, dtype=torch.bool)
    padding[1, :, 2:] = True
    found = model.eval()(cells, position, padding, query)

    x, place = (t.flatten(2).transpose(1, 2) for t in (cells, position))
    away = padding.flatten(1)
    for layer in model.encoder.layers:
        seen = attention_by_the_formula(layer.self_attn, x + place, x + place, x, away)
        x = layer.norm1(x + seen)
        x = layer.norm2(x + feedforward(layer, x))
    answer = torch.zeros(2, 5, 16, dtype=torch.float64)
    for i, layer in enumerate(model.decoder.layers):
        asked = answer + query
        told = attention_by_the_formula(layer.self_attn, asked, asked, answer)
        answer = layer.norm1(answer + told)
        seen = attention_by_the_formula(layer.multihead_attn, answer + query, x + place, x, away)
        answer = layer.norm2(answer + seen)
        answer = layer.norm3(answer + feedforward(layer, answer))
        torch.testing.assert_close(found[i], model.decoder.norm(answer))


def test_padded_cells_change_nothing():
    model = tiny().eval()
    cells = torch.randn(1, 16, 2, 3)
    padded = torch.full((1, 16, 4, 5), 9.0)
    padded[:, :, :2, :3] = cells
    alone, beyond = torch.zeros(1, 2, 3).bool(), torch.ones(1, 4, 5).bool()
    beyond[:, :2, :3] = False
    with torch.no_grad():
        want, found = (
            model.transformer(x, model.backbone[1](mask), mask, model.query_embed.weight)
            for x, mask in ((cells, alone), (padded, beyond))
        )
    torch.testing.assert_close(found, want, rtol=1e-4, atol=1e-5)


def test_images_of_different_sizes():
    """Each image's padding, and no other cell, is left out; boxes are in each image's pixels."""
    model = tiny().eval()
    images = [torch.rand(3, 64, 64), torch.rand(3, 64, 96)]
    masks = []
    handle = model.backbone[1].register_forward_pre_hook(lambda _, args: masks.append(args[0]))
    with torch.no_grad():
        output = model(images)
    handle.remove()
    assert masks[0].tolist() == [[[False, False, True]] * 2, [[False] * 3] * 2]
    found = model.postprocess(output, score_threshold=0.0)
    assert [f.image_size for f in found] == [(64, 64), (64, 96)]
    for f, (height, width), boxes in zip(found, [(64, 64), (64, 96)], output.boxes, strict=True):
        want = boxes * torch.tensor([width, height] * 2)
        widths = f.boxes[:, 2] - f.boxes[:, 0]
        torch.testing.assert_close(widths.sort().values, want[:, 2].sort().values)


def test_auxiliary_terms_are_those_of_a_shorter_decoder():
    whole = tiny().eval()
    short = tiny(decoder_layers=1).eval()
    state = whole.state_dict()
    short.load_state_dict({key: state[key] for key in short.state_dict()})
    images = [torch.rand(3, 60, 80)]
    targets = [target([5.0, 5, 40, 50], [30.0, 20, 70, 55])]
    losses, expected = (model.loss(model(images), targets) for model in (whole, short))
    assert set(expected) == TERMS
    for name, term in expected.items():
        torch.testing.assert_close(losses[f"{name}_0"], term)
        assert losses[name] != term


def test_trainable_layers():
    model = tiny(trainable_layers=3)
    frozen = {n.split(".")[3] for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {"conv1", "bn1", "layer1"}


def test_images_without_objects_and_crowds():
    model = tiny().eval()
    output = model([torch.rand(3, 60, 80)])
    losses = model.loss(output, [target()])
    assert losses["loss_bbox"] == losses["loss_giou"] == 0 and losses["loss_ce"] > 0
    crowd = {**target([5.0, 5, 40, 50]), "iscrowd": torch.tensor([True])}
    assert model.loss(output, [crowd]) == losses


def test_more_objects_than_queries():
    model = tiny(num_queries=2)
    boxes = [[float(x), 5.0, x + 6.0, 40.0] for x in range(0, 70, 10)]
    losses = model.loss(model([torch.rand(3, 60, 80)]), [target(*boxes)])
    assert all(loss.isfinite() for loss in losses.values())


def test_wrong_arguments():
    with pytest.raises(ValueError, match="heads must divide the 16 channels, got 3"):
        tiny(heads=3)
    with pytest.raises(ValueError, match="channels must be a multiple of 4, got 18"):
        tiny(channels=18)


def test_detect_takes_the_likeliest_class_of_each_query():
    model = tiny().eval()
    output = model([torch.rand(3, 60, 80)])
    logits = torch.tensor([[0.0, 0, 3, 0], [0, 2, 0, 0], [0, 0, 0, 5], [0, 0, 0, 5], [9, 0, 0, 0]])
    boxes = torch.tensor([[0.5, 0.5, 0.5, 1.0]]).expand(5, 4)
    output = output._replace(logits=logits[None], boxes=boxes[None])
    (found,) = model.detect(output, score_threshold=0.1)
    # The third and fourth found nothing; the fifth says background, which is no object either.
    assert found.labels.tolist() == [2, 1]
    want = [math.exp(3) / (3 + math.exp(3)), math.exp(2) / (3 + math.exp(2))]
    torch.testing.assert_close(found.scores, torch.tensor(want))
    assert found.boxes[0].tolist() == [20.0, 0.0, 60.0, 60.0]  # of 80 x 60
    assert len(model.detect(output, max_detections=1)[0].scores) == 1


def test_attention_maps(tmp_path):
    model = tiny(min_size=128, max_size=160)
    image = torch.rand(3, 120, 150)
    maps = model.attention_maps(image, points=[(10, 100), (149, 0)], score_threshold=0.0)
    assert model.training
    assert maps.of_objects.shape == (5, 4, 5) and maps.of_points.shape == (2, 4, 5)
    for weights in (maps.of_objects, maps.of_points):
        torch.testing.assert_close(weights.sum(dim=(1, 2)), torch.ones(len(weights)))
    (found,) = model.predict(image, score_threshold=0.0)
    assert torch.equal(maps.detections.labels, found.labels)
    assert maps.draw(image).size[0] > 4 * 150
    maps.save(tmp_path / "maps.json")
    with pytest.raises(ValueError, match=r"points must lie in the 120x150 image, got \(150, 3\)"):
        model.attention_maps(image, points=[(150, 3)])
    with pytest.raises(ValueError, match="there is nothing to draw"):
        model.attention_maps(image, score_threshold=1.0).draw(image)


def test_attention_of_a_point_is_that_of_its_cell():
    model = tiny(min_size=128, max_size=160).eval()
    image = torch.rand(3, 128, 160)
    layer = model.transformer.encoder.layers[-1].self_attn
    calls = []
    handle = layer.register_forward_hook(lambda module, args, out: calls.append(args))
    maps = model.attention_maps(image, points=[(100.0, 70.0)])
    handle.remove()
    placed = calls[0][0][0].clone()
    weight, bias = layer.in_proj_weight, layer.in_proj_bias
    q, k = (placed @ weight[i : i + 16].T + bias[i : i + 16] for i in (0, 16))
    want = sum((q[:, i : i + 8] @ k[:, i : i + 8].T / math.sqrt(8)).softmax(-1) for i in (0, 8)) / 2
    row, column = 70 // 32, 100 // 32
    torch.testing.assert_close(maps.of_points[0].flatten(), want[row * 5 + column].detach())


class Some(list):
    classes = DrawnDigits.classes


@pytest.mark.slow
def test_learns_drawn_digits():
    """Four scenes, until it knows them: each digit once, without suppression."""
    digits = DrawnDigits("train", size=(96, 96), max_digits=3, digit_size=(28, 48))
    scenes = Some([digits[i] for i in range(4)])
    images, targets = map(list, zip(*scenes, strict=True))
    model = tiny(
        num_classes=11,
        num_queries=8,
        width=16,
        channels=64,
        heads=4,
        feedforward=128,
        dropout=0.0,
        min_size=96,
    )
    model.classes = DrawnDigits.classes
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4)
    for _ in range(140):
        optimizer.zero_grad()
        sum(model.loss(model(images), targets).values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
    assert evaluate_detector(model, scenes, batch_size=4)["AP50"] > 0.9
    for found, expected in zip(
        model.predict(images, score_threshold=0.5, batch_size=4), targets, strict=True
    ):
        assert sorted(found.labels.tolist()) == sorted(expected["labels"].tolist())
