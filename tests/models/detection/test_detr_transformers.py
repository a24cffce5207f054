"""DETR against transformers': outputs, attention, losses, gradients."""

import re

import pytest
import torch
from transformers import DetrConfig, DetrForObjectDetection, ResNetConfig

from fastcv.models import create_model
from fastcv.models.detection.detr import padding_of

CLOSE = {"rtol": 1e-4, "atol": 1e-4}
WEIGHTS = {"loss_ce": 1, "loss_bbox": 5, "loss_giou": 2}

# Ours, and what transformers calls it.
NAMES = [
    (r"backbone\.0\.body\.conv1", r"model.backbone.model.embedder.embedder.convolution"),
    (r"backbone\.0\.body\.bn1", r"model.backbone.model.embedder.embedder.normalization"),
    (r"transformer\.(encoder|decoder)\.", r"model.\1."),
    (r"linear", r"mlp.fc"),
    (r"multihead_attn", "encoder_attn"),
    (r"out_proj", "o_proj"),
    (r"(encoder\.layers\.\d+)\.norm1", r"\1.self_attn_layer_norm"),
    (r"(encoder\.layers\.\d+)\.norm2", r"\1.final_layer_norm"),
    (r"(decoder\.layers\.\d+)\.norm1", r"\1.self_attn_layer_norm"),
    (r"(decoder\.layers\.\d+)\.norm2", r"\1.encoder_attn_layer_norm"),
    (r"(decoder\.layers\.\d+)\.norm3", r"\1.final_layer_norm"),
    (r"decoder\.norm", "decoder.layernorm"),
    (r"input_proj\.", "model.input_projection."),
    (r"query_embed", "model.query_position_embeddings"),
    (r"class_embed", "class_labels_classifier"),
    (r"bbox_embed", "bbox_predictor"),
]


def their_name(key):
    block = re.fullmatch(r"backbone\.0\.body\.layer(\d)\.(\d+)\.(\w+?)(\d?)((?:\.\d)?)\.(\w+)", key)
    if block:
        stage, layer, kind, number, part, rest = block.groups()
        place = f"model.backbone.model.encoder.stages.{int(stage) - 1}.layers.{layer}"
        if kind == "downsample":
            what = "convolution" if part == ".0" else "normalization"
            return f"{place}.shortcut.{what}.{rest}"
        what = "convolution" if kind == "conv" else "normalization"
        return f"{place}.layer.{int(number) - 1}.{what}.{rest}"
    for mine, theirs in NAMES:
        key = re.sub(mine, theirs, key)
    return key


def from_theirs(keys, theirs):
    """Their tensors under our keys; ours has query, key and value in one matrix."""
    found = {}
    for key in keys:
        name = their_name(key)
        if "in_proj_" in name:
            place, kind = name.split("in_proj_")
            found[key] = torch.cat([theirs.pop(f"{place}{p}_proj.{kind}") for p in "qkv"])
        else:
            found[key] = theirs.pop(name)
    assert not theirs
    return found


@pytest.fixture(scope="module")
def pair():
    torch.manual_seed(0)
    config = DetrConfig(
        backbone_config=ResNetConfig(
            embedding_size=8, hidden_sizes=[32, 64, 128, 256], out_features=["stage4"]
        ),
        d_model=32,
        encoder_layers=2,
        decoder_layers=3,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=48,
        decoder_ffn_dim=48,
        num_labels=7,
        num_queries=10,
        # With its auxiliary losses on, it passes the normed output on to the next layer, as neither
        # the paper nor facebookresearch/detr does: the last layer's terms are compared.
        auxiliary_loss=False,
    )
    peer = DetrForObjectDetection(config)
    peer.set_attn_implementation("eager")  # which can return its weights
    for parameter in peer.parameters():
        if parameter.ndim == 1:  # zeros and ones, until now
            parameter.data += 0.1 * torch.randn(parameter.shape)
    ours = create_model(
        "detr_resnet50",
        num_classes=7,
        num_queries=10,
        width=8,
        channels=32,
        heads=4,
        encoder_layers=2,
        decoder_layers=3,
        feedforward=48,
        min_size=96,
        max_size=160,
    )
    ours.load_state_dict(from_theirs(ours.state_dict(), dict(peer.state_dict())))
    return ours.eval(), peer.eval()


def inputs(ours):
    """Two images of different sizes, which are not resized."""
    g = torch.Generator().manual_seed(1)
    images = [torch.rand(3, 96, 150, generator=g), torch.rand(3, 130, 96, generator=g)]
    batch = ours.transform(images)
    assert batch.sizes == [(96, 150), (130, 96)]
    return images, batch


def test_outputs_and_attention(pair):
    ours, peer = pair
    images, batch = inputs(ours)
    with torch.no_grad():
        output = ours(images)
        expected = peer(
            batch.tensors, pixel_mask=(~padding_of(batch)).long(), output_attentions=True
        )
    torch.testing.assert_close(output.logits, expected.logits, **CLOSE)
    torch.testing.assert_close(output.boxes, expected.pred_boxes, **CLOSE)

    maps = ours.attention_maps(images[0], points=[(40, 70)], score_threshold=0.0)
    alone = images[0][None]
    alone = (alone - ours.transform.mean) / ours.transform.std
    with torch.no_grad():
        expected = peer(alone, output_attentions=True)
    order = expected.logits[0].softmax(-1)[:, 1:-1].amax(-1).argsort(descending=True)
    cross = expected.cross_attentions[-1][0].mean(0)[order]
    torch.testing.assert_close(maps.of_objects.flatten(1), cross, **CLOSE)
    cell = 70 // 32 * 5 + 40 // 30  # of 3 x 5 cells
    own = expected.encoder_attentions[-1][0].mean(0)[cell]
    torch.testing.assert_close(maps.of_points[0].flatten(), own, **CLOSE)


def test_losses_and_gradients(pair):
    ours, peer = pair
    images, batch = inputs(ours)
    boxes = [
        torch.tensor([[10.0, 20, 80, 90], [100, 5, 140, 60], [3, 3, 12, 9]]),
        torch.tensor([[20.0, 30, 90, 120]]),
    ]
    labels = [torch.tensor([1, 6, 2]), torch.tensor([3])]
    peer.requires_grad_()  # it freezes the whole backbone
    ours.zero_grad(), peer.zero_grad()
    losses = ours.loss(
        ours(images), [{"boxes": b, "labels": y} for b, y in zip(boxes, labels, strict=True)]
    )
    last = {name: losses[name] for name in ("loss_ce", "loss_bbox", "loss_giou")}
    sum(last.values()).backward()

    wanted_targets = []
    for b, y, (height, width) in zip(boxes, labels, batch.sizes, strict=True):
        x1, y1, x2, y2 = (b / torch.tensor([width, height] * 2)).unbind(1)
        centred = torch.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], dim=1)
        wanted_targets.append({"boxes": centred, "class_labels": y})
    output = peer(batch.tensors, pixel_mask=(~padding_of(batch)).long(), labels=wanted_targets)
    output.loss.backward()
    for name, loss in last.items():
        want = output.loss_dict[name] * WEIGHTS[name]
        torch.testing.assert_close(loss, want, **CLOSE, msg=lambda m, n=name: f"{n}: {m}")
    torch.testing.assert_close(sum(last.values()), output.loss, **CLOSE)

    parameters = dict(ours.named_parameters())
    gradients = {name: p.grad for name, p in peer.named_parameters()}
    for name, want in from_theirs(parameters, gradients).items():
        scale = float(want.abs().max()) + 1e-3
        torch.testing.assert_close(
            parameters[name].grad, want, rtol=1e-3, atol=1e-4 * scale, msg=name
        )
