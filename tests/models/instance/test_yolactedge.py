"""YolactEdge as the paper and haotian-liu/yolact_edge have it: keys, motion, losses, video."""

import re

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fastcv.deploy._onnx_ops import TRANSLATIONS
from fastcv.models import create_model
from fastcv.models.instance.yolactedge import KeyFrame, flow_loss
from fastcv.nn.layers.flow_net import FlowNet, Motion, from_pixels, in_pixels
from fastcv.ops import flow_warp

COUNTS = {
    "yolactedge_resnet50": 35_389_247,
    "yolactedge_resnet101": 54_381_375,
    "yolactedge_mobilenetv2": 9_028_815,
}
SMALL = {
    "num_classes": 4,
    "width": 8,
    "channels": 16,
    "prototypes": 6,
    "size": 96,
    "flow_channels": 8,
    "scales": (8, 16, 32, 48, 96),
}


def without_memory(name, **config):
    with torch.device("meta"):
        return create_model(name, **config)


def make():
    """Small, and with nothing left at zero: things move, are scaled and corrected."""
    torch.manual_seed(0)
    model = create_model("yolactedge_resnet18", **SMALL)
    for parameter in model.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.05)
    return model.eval()


@pytest.fixture(scope="module")
def model():
    return make()


@pytest.fixture(scope="module")
def still():
    """As it starts: no motion."""
    torch.manual_seed(0)
    return create_model("yolactedge_resnet18", **SMALL).eval()


@pytest.fixture
def clip():
    return torch.rand(7, 3, 60, 80, generator=torch.Generator().manual_seed(1))


# The networks.


@pytest.mark.parametrize(("name", "count"), COUNTS.items())
def test_parameters(name, count):
    assert sum(p.numel() for p in without_memory(name).parameters()) == count


def conv(name, outputs, inputs, kernel, bias=True):
    shapes = {f"{name}.weight": (outputs, inputs, kernel, kernel)}
    return {**shapes, f"{name}.bias": (outputs,)} if bias else shapes


def test_the_published_keys_of_video():
    """From the table of layers: 64 channels at C3's size, 128, 256; features have 256."""
    expected = {
        **conv("flow_net_pre_convs.convs.0.0", 64, 256, 3),
        **conv("flow_net.conv1.0.0", 64, 128, 3),
        **conv("flow_net.conv1.1.0", 64, 64, 3),
        **conv("flow_net.conv2.0.0", 128, 64, 3),
        **conv("flow_net.conv2.1.0", 128, 128, 3),
        **conv("flow_net.conv3.0.0", 256, 128, 3),
        **conv("flow_net.conv3.1.0", 256, 256, 3),
        **conv("flow_net.upfeat3", 128, 256, 3, bias=False),
        **conv("flow_net.upfeat2", 64, 258, 3, bias=False),
        **conv("flow_net.upflow3", 2, 2, 3, bias=False),
        **conv("flow_net.upflow2", 2, 2, 3, bias=False),
        **conv("spa.refine_convs.0.0", 256, 512, 3),
        **conv("spa.refine_convs.1.0", 256, 512, 3),
    }
    for level, inputs in ((3, 256), (2, 258), (1, 130)):
        expected |= conv(f"flow_net.pred{level}.conv", 2, inputs, 3, bias=False)
        expected |= conv(f"flow_net.pred{level}.scale", 256, inputs, 1)
        expected |= conv(f"flow_net.pred{level}.bias", 256, inputs, 1)
    for i, inputs in enumerate((2048, 1024, 512)):  # deepest first
        expected |= conv(f"fpn_phase_1.lat_layers.{i}", 256, inputs, 1)
        expected |= conv(f"fpn_phase_2.pred_layers.{i}", 256, 256, 3)
    for i in range(2):
        expected |= conv(f"fpn_phase_2.downsample_layers.{i}", 256, 256, 3)
    state = without_memory("yolactedge_resnet50").state_dict()
    parts = ("flow_net", "spa", "fpn")
    assert {k: tuple(v.shape) for k, v in state.items() if k.startswith(parts)} == expected


def test_the_published_keys_of_a_resnet_load():
    model = create_model("yolactedge_resnet18", **SMALL)
    renamed = {}
    for key, value in model.state_dict().items():
        found = re.fullmatch(r"backbone\.layer(\d)\.(.*)", key)
        published = f"backbone.layers.{int(found[1]) - 1}.{found[2]}" if found else key
        renamed[published] = value
    assert "backbone.layers.0.0.conv1.weight" in renamed
    model.load_state_dict(renamed)


def test_the_keys_of_mobilenet():
    """A list of the stem, seven stages and the last convolution; torchvision's blocks within."""
    state = without_memory("yolactedge_mobilenetv2").state_dict()
    assert state["backbone.layers.0.0.weight"].shape == (32, 3, 3, 3)
    assert state["backbone.layers.1.0.conv.0.0.weight"].shape == (32, 1, 3, 3)
    assert state["backbone.layers.6.2.conv.2.weight"].shape == (160, 960, 1, 1)
    assert state["backbone.layers.8.0.weight"].shape == (1280, 320, 1, 1)
    laterals = [state[f"fpn_phase_1.lat_layers.{i}.weight"].shape[1] for i in range(3)]
    assert laterals == [160, 64, 32]
    assert not any("flow" in key for key in state)


@pytest.mark.parametrize("name", ["yolactedge_resnet18", "yolactedge_mobilenetv2"])
def test_the_finest_map_alone(name):
    config = SMALL if "resnet" in name else {"num_classes": 3}
    model = create_model(name, **config).eval()
    x = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        assert torch.equal(model.finest_map(x), model._maps(x)[0])


def test_pictures_are_yolacts(model, clip):
    """With the pyramid's halves joined, the weights are those of a YOLACT."""
    peer = create_model(
        "yolact_resnet18", **{k: v for k, v in SMALL.items() if k != "flow_channels"}
    ).eval()
    state = {
        key.replace("fpn_phase_1", "fpn").replace("fpn_phase_2", "fpn"): value
        for key, value in model.state_dict().items()
        if not key.startswith(("flow_net", "spa"))
    }
    peer.load_state_dict(state)
    with torch.no_grad():
        for ours, theirs in zip(model(clip)[1:], peer(clip)[1:], strict=True):
            assert torch.equal(ours, theirs)


# Motion.


def test_a_flow_of_sixteen_is_the_whole_side():
    """As the published grid: from -1 to 1 over the centres, a flow counts an eighth."""
    flow = torch.randn(2, 2, 5, 9)
    features = torch.randn(2, 3, 5, 9)
    scale, bias = torch.rand(2, 3, 5, 9), torch.rand(2, 3, 5, 9)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 5), torch.linspace(-1, 1, 9), indexing="ij")
    grid = torch.stack([x, y], dim=-1) + flow.permute(0, 2, 3, 1) / 8
    want = F.grid_sample(features, grid, align_corners=True) * scale + bias
    ours = Motion(flow, scale, bias).apply(features)
    torch.testing.assert_close(ours, want, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(from_pixels(in_pixels(flow)), flow)


def test_no_motion_and_an_identity_scale_copy(still, clip):
    """Bit for bit, whatever the new frame is."""
    batch = still.transform(list(clip[:2])).tensors
    with torch.no_grad():
        maps = still._maps(batch[:1])
        sums = still.fpn_phase_1(maps)
        key = still.key_frame(maps, sums)
        moved, motions = still.moved(still.finest_map(batch[1:]), key)
    for motion in motions:
        assert not motion.flow.any() and (motion.scale == 1).all() and not motion.bias.any()
    assert len(moved) == 3 and len(key.features) == 2
    for ours, of_key in zip(moved[1:], key.features, strict=True):
        assert torch.equal(ours, of_key)
    lateral = still.fpn_phase_1.lateral(still.finest_map(batch[1:]))
    up = F.interpolate(key.features[0], lateral.shape[2:], mode="bilinear", align_corners=False)
    torch.testing.assert_close(moved[0], up + lateral)


def test_a_still_clip_is_found_alike(still, clip):
    """As it starts, a frame that is its key frame again has the very same results."""
    frames = clip[:1].expand(4, -1, -1, -1)
    first, *others = (
        found for _, found in still.predict_video(frames, keyframe_interval=4, score_threshold=0.0)
    )
    for found in others:
        torch.testing.assert_close(found.boxes, first.boxes, rtol=1e-4, atol=1e-3)
        torch.testing.assert_close(found.scores, first.scores, rtol=1e-4, atol=1e-5)


def test_moved_by_hand(model, clip):
    """The lower levels by grid_sample, the finest from its own share, then corrected."""
    batch = model.transform(list(clip[:2])).tensors
    with torch.no_grad():
        maps = model._maps(batch[:1])
        sums = model.fpn_phase_1(maps)
        finest = model.finest_map(batch[1:])
        moved, _ = model.moved(finest, model.key_frame(maps, sums))
        pre, laterals = model.flow_net_pre_convs["convs"], model.fpn_phase_1.lat_layers
        new, old = laterals[2](finest), laterals[2](maps[0])
        _, half, quarter = model.flow_net(pre(new), pre(old))
        p4, p5 = (
            flow_warp(x, in_pixels(m.flow)) * m.scale + m.bias
            for x, m in ((sums[1], half), (sums[2], quarter))
        )
        c4 = F.interpolate(new, p4.shape[2:], mode="bilinear", align_corners=False)
        c5 = F.interpolate(c4, p5.shape[2:], mode="bilinear", align_corners=False)
        p3 = F.interpolate(p4, new.shape[2:], mode="bilinear", align_corners=False) + new
        r4, r5 = model.spa.refine_convs
        want = [p3, p4 + r4(torch.cat([p4, c4], 1)), p5 + r5(torch.cat([p5, c5], 1))]
    assert half.flow.any() and quarter.flow.any()
    for ours, theirs in zip(moved, want, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_net_of_flow_learns_to_see_motion():
    """Features that were moved by one cell: after some steps it knows which way."""
    torch.manual_seed(0)
    net = FlowNet(4, channels=2, width=8)
    optimizer = torch.optim.Adam(net.parameters(), 3e-3)
    costs = []
    for _ in range(100):
        old = F.interpolate(torch.randn(8, 4, 6, 8), (12, 16), mode="bilinear")
        step = torch.randint(-2, 3, (8, 2, 1, 1)).float()
        flow = step.expand(8, 2, 12, 16)
        loss = flow_loss(net(flow_warp(old, flow, "border"), old), flow)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        costs.append(loss.item())
    assert np.mean(costs[-10:]) < 0.85 * np.mean(costs[:20])


# The loss.


def pairs_and_targets(flow=True):
    g = torch.Generator().manual_seed(2)
    images = [torch.rand(2, 3, 60, 80, generator=g), torch.rand(2, 3, 90, 50, generator=g)]
    targets = []
    for image, label in zip(images, (1, 3), strict=True):
        size = image.shape[2:]
        masks = torch.zeros(1, *size, dtype=torch.bool)
        masks[:, 10:50, 12:40] = True
        target = {"boxes": torch.tensor([[12.0, 10, 40, 50]]), "labels": torch.tensor([label])}
        targets.append({**target, "masks": masks})
        if flow:
            targets[-1]["flow"] = torch.randn(2, *size, generator=g)
    return images, targets


def cosine_cost(a, b):
    dot, norms = (a * b).sum(1), a.square().sum(1).sqrt() * b.square().sum(1).sqrt()
    return (1 - dot / norms.clamp(min=1e-8)).mean()


def test_loss_by_hand():
    model = make()
    images, targets = pairs_and_targets()
    output = model(images)
    losses = model.loss(output, targets)
    image_terms = model.loss(output.full, targets)
    assert set(losses) == {
        *image_terms,
        *(f"moved_{name}" for name in image_terms),
        "feature_matching",
        "flow",
    }
    # Of the later frame in full: what the picture by itself has.
    alone = model.loss(model([pair[1] for pair in images]), targets)
    moved = model.loss(output.moved, targets)
    for name, loss in alone.items():
        torch.testing.assert_close(losses[name], loss)
        torch.testing.assert_close(losses[f"moved_{name}"], moved[name])
    # Feature matching: two levels, before and after the 3x3 convolution of the level.
    with torch.no_grad():
        batch = model.transform([pair[1] for pair in images]).tensors
        full_features = model.fpn_phase_1(model._maps(batch))[1:]
        key_batch = model.transform([pair[0] for pair in images]).tensors
        maps = model._maps(key_batch)
        key = model.key_frame(maps, model.fpn_phase_1(maps))
        sums, motions = model.moved(model.finest_map(batch), key)
        by_depth = model.fpn_phase_2.pred_layers  # P5, P4, P3
        costs = [cosine_cost(a, b) for a, b in zip(sums[1:], full_features, strict=True)]
        for layer, a, b in zip((by_depth[1], by_depth[0]), sums[1:], full_features, strict=True):
            costs.append(cosine_cost(layer(a).relu(), layer(b).relu()))
        torch.testing.assert_close(losses["feature_matching"], torch.stack(costs).mean())
        # Flow: the mean distance at each size, in the net's unit.
        cost = 0.0
        small = [
            F.interpolate(
                torch.stack(
                    [
                        16 * t["flow"][0] / (t["flow"].shape[2] - 1),
                        16 * t["flow"][1] / (t["flow"].shape[1] - 1),
                    ]
                )[None],
                (96, 96),
                mode="bilinear",
                align_corners=False,
            )
            for t in targets
        ]
        for motion in output.motions:
            at_size = F.interpolate(
                torch.cat(small), motion.flow.shape[2:], mode="bilinear", align_corners=False
            )
            cost += (motion.flow - at_size).square().sum(1).sqrt().mean()
        torch.testing.assert_close(losses["flow"], cost)
    assert len(output.motions) == 3 and len(motions) == 2


def test_no_flow_in_the_targets(model):
    images, targets = pairs_and_targets(flow=False)
    assert "flow" not in model.loss(model(images), targets)


def test_what_moves_features_leaves_the_backbone_alone():
    model = make().train()
    images, targets = pairs_and_targets()
    losses = model.loss(model(images), targets)
    by_motion = [v for k, v in losses.items() if k in ("feature_matching", "flow")]
    (sum(by_motion) + losses["moved_mask"]).backward()
    assert all(p.grad is None for p in model.backbone.parameters())
    assert all(p.grad is None for p in model.fpn_phase_1.parameters())
    assert model.flow_net.conv1[0][0].weight.grad.any()


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        (
            torch.zeros(2, 6, 8),
            r"targets\[1\]: flow must be a tensor \[2, 90, 50\], got \[2, 6, 8\]",
        ),
        (None, r"targets\[1\]: flow must be a tensor \[2, 90, 50\], got NoneType"),
    ],
)
def test_wrong_flows(model, flow, message):
    images, targets = pairs_and_targets()
    targets[1]["flow"] = flow
    with pytest.raises(ValueError, match=message):
        model.loss(model(images), targets)


def test_a_pair_is_two_frames(model):
    with pytest.raises(ValueError, match=r"a pair of frames must be \[2, 3, H, W\], got \[3, 3, 6"):
        model([torch.rand(3, 3, 60, 80)])


# Video.


def test_key_frames_are_worked_out_in_full(model, clip):
    found = [f for _, f in model.predict_video(clip, keyframe_interval=3, score_threshold=0.0)]
    alone = model.predict(clip, score_threshold=0.0)
    same = [torch.equal(a.boxes, b.boxes) for a, b in zip(found, alone, strict=True)]
    assert same == [True, False, False, True, False, False, True]
    assert all(f.masks.shape[1:] == (60, 80) and f.image_size == (60, 80) for f in found)


def test_every_frame_a_key_frame(model, clip):
    found = model.predict_video(clip, keyframe_interval=1, score_threshold=0.0)
    alone = model.predict(clip, score_threshold=0.0)
    assert all(torch.equal(a.boxes, b.boxes) for (_, a), b in zip(found, alone, strict=True))


def test_frames_between_run_no_deep_layer(model, clip):
    calls = []
    hooks = [
        module.register_forward_hook(lambda *_, name=name: calls.append(name))
        for name, module in (("deep", model.backbone.layer4), ("flow", model.flow_net.conv1))
    ]
    list(model.predict_video(clip[:5], keyframe_interval=4))
    for hook in hooks:
        hook.remove()
    assert calls == ["deep", "flow", "flow", "flow", "deep"]


def test_the_state_is_the_clips(model, clip):
    """Two clips at once do not mix, and the model keeps nothing."""
    one, two = (model.predict_video(c, keyframe_interval=4) for c in (clip, clip.flip(0)))
    mixed = [(a[1].boxes, b[1].boxes) for a, b in zip(one, two, strict=True)]
    apart = [f.boxes for _, f in model.predict_video(clip.flip(0), keyframe_interval=4)]
    assert all(torch.equal(b, c) for (_, b), c in zip(mixed, apart, strict=True))


def test_one_frame_and_one_pixel(model):
    ((_, found),) = model.predict_video(torch.rand(1, 3, 60, 80))
    assert found.image_size == (60, 80)
    *_, (_, found) = model.predict_video(torch.rand(3, 3, 1, 1))
    assert found.masks.shape[1:] == (1, 1)


def test_frames_of_different_sizes(model):
    frames = [torch.rand(3, 60, 80), torch.rand(3, 60, 81)]
    with pytest.raises(ValueError, match="a list: frame 1 is 60x81, the frames before it are 60x"):
        list(model.predict_video(frames))
    _, state = model.predict_frame(frames[0], None)
    with pytest.raises(ValueError, match="frames must be of one size, got 60x81 after 60x80"):
        model.predict_frame(frames[1], state)


def test_wrong_options(model, clip):
    for interval in (0, -1, 2.5, None):
        with pytest.raises(ValueError, match="keyframe_interval must be at least 1, got"):
            model.predict_video(clip, keyframe_interval=interval)
    with pytest.raises(TypeError, match=r"does not take 'batch_size': .*keyframe_interval"):
        model.predict_video(clip, batch_size=2)
    with pytest.raises(TypeError, match="does not take 'keyframe_interval'"):
        model.predict(clip, keyframe_interval=2)


def test_a_picture_of_nan(model):
    """Nothing is found in it, and nothing breaks."""
    clip = torch.full((2, 3, 60, 80), torch.nan)
    assert [len(found) for _, found in model.predict_video(clip)] == [0, 0]


def test_without_a_flow_net_all_frames_are_key_frames():
    torch.manual_seed(0)
    model = create_model("yolactedge_mobilenetv2", num_classes=3).eval()
    clip = torch.rand(2, 3, 40, 60)
    found = [f for _, f in model.predict_video(clip, score_threshold=0.3)]
    alone = model.predict(clip, score_threshold=0.3)
    assert all(torch.equal(a.boxes, b.boxes) for a, b in zip(found, alone, strict=True))


def test_flow_in_pixels_of_the_picture(model, clip):
    flow = model.flow(clip[1], clip[0])
    assert flow.shape == (2, 60, 80) and flow.any()
    same = model.flow((255 * clip[1]).byte(), (255 * clip[0]).byte())
    torch.testing.assert_close(same, flow, rtol=0.2, atol=0.2)  # of rounding pixels


# Export.


class Between(nn.Module):
    """What a frame between computes, as tensors: from it and its key frame to all outputs."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, tensors, described, p4, p5):
        finest = self.model.finest_map(tensors)
        sums, _ = self.model.moved(finest, KeyFrame(described, [p4, p5]))
        return self.model.heads(self.model.fpn_phase_2(sums), (96, 96))[:4]


def test_the_tensors_of_a_frame_between_export(model, clip, tmp_path):
    with torch.no_grad():
        batch = model.transform(list(clip[:2])).tensors
        maps = model._maps(batch[:1])
        key = model.key_frame(maps, model.fpn_phase_1(maps))
        inputs = (batch[1:], key.described, *key.features)
        want = Between(model)(*inputs)
        program = torch.onnx.export(
            Between(model).eval(),
            inputs,
            opset_version=19,
            dynamo=True,
            custom_translation_table=TRANSLATIONS,
            verbose=False,
        )
    program.save(tmp_path / "between.onnx")
    nodes = [node.op_type for node in onnx.load(tmp_path / "between.onnx").graph.node]
    assert nodes.count("GridSample") == 2
    session = onnxruntime.InferenceSession(tmp_path / "between.onnx")
    feed = {i.name: t.numpy() for i, t in zip(session.get_inputs(), inputs, strict=True)}
    for ours, theirs in zip(session.run(None, feed), want, strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-3, atol=1e-4)
