"""VPSNet: its parameters, its loss, clips, and ids by hand."""

import math

import pytest
import torch
from torch.nn import functional as F

import fastcv
from fastcv.data import MovingStreets, flow_between
from fastcv.models.panoptic.vpsnet import no_flow, with_ids
from fastcv.results import Panoptic

SMALL = {
    "num_classes": 13,
    "num_stuff": 3,
    "width": 8,
    "fpn_channels": 32,
    "head_channels": 32,
    "mask_channels": 8,
    "semantic_channels": 32,
    "min_size": 96,
    "max_size": 128,
    "min_stuff_area": 0,
}
ANY = {"score_threshold": 0.0, "max_detections": 5, "iou_threshold": 0.3}


@pytest.fixture(scope="module")
def clip():
    return MovingStreets("val", size=(96, 128), digit_size=(24.0, 48.0), frames=4)[3]


@pytest.fixture
def model():
    torch.manual_seed(0)
    return fastcv.create_model("vpsnet_resnet18_fpn", **SMALL)


def targets_of(clip, later=-1, earlier=0):
    first, last = clip[1][earlier], clip[1][later]
    return {
        **last,
        "earlier_boxes": first["boxes"],
        "earlier_ids": first["ids"],
        "flow": flow_between(last, first),
    }


def parameters(module):
    return sum(p.numel() for p in module.parameters())


# Parameters.


def test_parameters():
    with torch.device("meta"):
        model = fastcv.create_model("vpsnet_resnet50_fpn")
    assert parameters(model) == 62_782_832
    assert parameters(model.fusion.flow) == 251_298
    assert parameters(model.fusion.join) == 2_885_888
    assert parameters(model.semantic_head) == 1_146_697
    assert parameters(model.track_head) == 13_895_680
    assert len(model.classes) == 19 and len(model.things) == 8
    assert model.classes[:2] == ("road", "sidewalk") and model.classes[11] == "person"


def test_the_semantic_head_has_norms_of_32_groups_and_no_biases():
    with torch.device("meta"):
        model = fastcv.create_model("vpsnet_resnet50_fpn")
    norms = [m for m in model.semantic_head.modules() if isinstance(m, torch.nn.GroupNorm)]
    assert [norm.num_groups for norm in norms] == [32] * 3
    names = [name for name, _ in model.semantic_head.named_parameters()]
    assert not [n for n in names if n.endswith(".0.bias")]


def test_no_unknown_class(model):
    assert not model.unknown
    (found,) = model.predict(torch.rand(3, 60, 80), **ANY)
    assert not found.void.any()


@pytest.mark.parametrize("classes, stuff", [(2, 1), (5, 2), (13, 3)])
def test_other_classes(classes, stuff):
    model = fastcv.create_model(
        "vpsnet_resnet18_fpn", **{**SMALL, "num_classes": classes, "num_stuff": stuff}
    )
    (found,) = model.predict(torch.rand(3, 60, 80), **ANY)
    assert found.things == tuple(range(stuff, classes))
    assert {s.label for s in found.segments} <= set(range(classes))


# Frames.


def test_no_motion_changes_nothing(model, clip):
    """Without flow a frame after itself is the frame: the same outputs, bit for bit."""
    model.eval()
    for parameter in model.fusion.flow.convs[-1].parameters():
        torch.nn.init.zeros_(parameter)
    frame = clip[0][0]
    with torch.no_grad():
        alone, pair = model([frame]), model([torch.stack([frame, frame])])
    assert not pair.flow.any()
    assert torch.equal(alone.semantic, pair.later.semantic)
    for a, b in zip(alone.features.values(), pair.later.features.values(), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(pair.earlier_features["0"], model.backbone(alone.batch.tensors)["0"])


def test_the_earlier_frame_matters(model, clip):
    model.eval()
    torch.nn.init.normal_(model.fusion.refine.weight, std=0.1)
    frames = clip[0]
    with torch.no_grad():
        a, b = model([frames[[0, 3]], frames[[3, 3]]]), None
        b = a.later.semantic
    assert not torch.allclose(b[0], b[1])


def test_the_initial_flow_is_any_function(model, clip):
    asked = []

    def flow(later, earlier):
        asked.append((later.shape, earlier.shape))
        return torch.full_like(later[:, :2], 8.0)

    model.initial_flow = flow
    for parameter in model.fusion.flow.convs[-1].parameters():
        torch.nn.init.zeros_(parameter)
    output = model.eval()([clip[0][[0, 1]]])
    assert (output.flow == 2).all()  # of a quarter of the size
    size = output.later.batch.tensors.shape
    assert asked == [(size, size)]
    model.initial_flow = lambda later, earlier: torch.zeros(1, 2, 3, 3)
    with pytest.raises(ValueError, match=r"initial_flow must give \[1, 2, 96, 128\], got \[1, 2,"):
        model([clip[0][[0, 1]]])
    assert not no_flow(torch.rand(2, 3, 4, 5), torch.rand(2, 3, 4, 5)).any()


def test_pairs_that_are_none(model):
    with pytest.raises(ValueError, match=r"a pair of frames must be \[2, 3, H, W\], got \[3, 3"):
        model([torch.rand(3, 3, 32, 32)])
    for wrong in ([], [torch.rand(3, 32, 32), torch.rand(2, 3, 32, 32)], 7):
        with pytest.raises((TypeError, ValueError)):
            model(wrong)


# The loss.


def test_terms(model, clip):
    target = targets_of(clip)
    losses = model.loss(model([clip[0][[0, 3]]]), [target])
    assert list(losses) == [
        "loss_objectness",
        "loss_rpn_box_reg",
        "loss_classifier",
        "loss_box_reg",
        "loss_mask",
        "loss_semantic",
        "loss_panoptic",
        "loss_match",
        "loss_flow",
    ]
    del target["flow"]
    assert list(model.loss(model([clip[0][[0, 3]]]), [target]))[-1] == "loss_match"
    assert list(model.loss(model([clip[0][3]]), [target]))[-1] == "loss_panoptic"


def test_the_match_loss_by_hand(model, clip):
    """Without proposals the true boxes alone are matched; one object was not there."""
    target, pair = targets_of(clip), [clip[0][[0, 3]]]
    order = [2, 0]  # of the earlier frame's
    for name in ("earlier_boxes", "earlier_ids"):
        target[name] = target[name][order]
    output = model(pair)
    later = output.later._replace(proposals=[torch.zeros(0, 4)])
    loss = model.loss(output._replace(later=later), [target])["loss_match"]
    pool, sizes = model.roi_heads.box_roi_pool, [(96, 128)]
    new = model.track_head.describe(pool(output.later.features, [target["boxes"]], sizes))
    old = model.track_head.describe(pool(output.earlier_features, [target["earlier_boxes"]], sizes))
    logits = F.pad(new @ old.T, (1, 0))
    rows = [F.cross_entropy(row, torch.tensor(k)) for row, k in zip(logits, (2, 0, 1), strict=True)]
    torch.testing.assert_close(loss, 0.5 * sum(rows) / 3)


def test_weights_of_the_semantic_and_the_panoptic_term(model, clip):
    target, output = targets_of(clip), model([clip[0][[0, 3]]])
    losses = model.loss(output, [target])
    full = F.interpolate(output.later.semantic, (96, 128), mode="bilinear", align_corners=False)
    expected = F.cross_entropy(full, target["semantic"][None])
    torch.testing.assert_close(losses["loss_semantic"], expected)
    assert model.panoptic_weight == 0.5 and model.semantic_weight == 1.0
    model.panoptic_weight = 1.0
    doubled = model.loss(output, [target])["loss_panoptic"]
    torch.testing.assert_close(doubled, 2 * losses["loss_panoptic"])


def test_the_flow_loss_by_hand(model, clip):
    target = targets_of(clip)
    output = model([clip[0][[0, 3]]])
    output = output._replace(flow=torch.zeros_like(output.flow))
    mean = F.avg_pool2d(target["flow"][None], 4)[0] / 4
    expected = mean.square().sum(0).sqrt().mean()
    torch.testing.assert_close(model.loss(output, [target])["loss_flow"], expected)


@pytest.mark.parametrize(
    "name, wrong, sentence",
    [
        ("ids", None, r"ids must be a tensor \[3\], got NoneType"),
        ("ids", torch.zeros(5), r"ids must be a tensor \[3\], got \[5\]"),
        ("earlier_ids", None, r"earlier_ids must be a tensor \[0\], got NoneType"),
        ("earlier_boxes", torch.zeros(2, 3), r"earlier_boxes must be a tensor \[3, 4\]"),
        ("flow", torch.zeros(2, 5, 5), r"flow must be a tensor \[2, 96, 128\], got \[2, 5, 5\]"),
    ],
)
def test_wrong_targets(model, clip, name, wrong, sentence):
    target = targets_of(clip)
    target[name] = wrong
    if wrong is None:
        del target[name]
    with pytest.raises(ValueError, match=r"targets\[0\]: " + sentence):
        model.loss(model([clip[0][[0, 3]]]), [target])


def test_frames_without_objects(model):
    none = {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.int64),
        "masks": torch.zeros(0, 64, 64, dtype=torch.bool),
        "semantic": torch.ones(64, 64, dtype=torch.int64),
        "ids": torch.zeros(0, dtype=torch.int64),
        "earlier_boxes": torch.zeros(0, 4),
        "earlier_ids": torch.zeros(0, dtype=torch.int64),
    }
    losses = model.loss(model([torch.rand(2, 3, 64, 64)]), [none])
    assert losses["loss_match"] == 0 and all(x.isfinite() for x in losses.values())
    sum(losses.values()).backward()


# Clips.


def ids_of(found):
    return [segment.id for segment in found.segments if segment.is_thing]


def test_ids_stay_where_nothing_moves(model):
    frame = torch.rand(3, 96, 128)
    for track in (True, False):
        state, seen = None, []
        with torch.inference_mode():
            for _ in range(3):
                found, state = model.eval().predict_frame(frame, state, track=track, **ANY)
                seen.append(found)
        assert ids_of(seen[0]) == ids_of(seen[2]) and len(ids_of(seen[0])) > 0
        assert torch.equal(seen[1].segment_map, seen[2].segment_map)
        assert min(ids_of(seen[0])) > model.num_stuff


def test_stuff_has_its_label_and_one_as_id(model, clip):
    for _, found in model.predict_video(clip[0], **ANY):
        stuff = [segment for segment in found.segments if not segment.is_thing]
        assert all(segment.id == segment.label + 1 for segment in stuff)


def test_what_is_kept_does_not_grow(model):
    state, sizes = None, set()
    with torch.inference_mode():
        for seed in range(8):
            torch.manual_seed(seed)
            _, state = model.eval().predict_frame(torch.rand(3, 64, 64), state, **ANY)
            sizes.add(sum(x.numel() for x in state.features.values()) + state.tensors.numel())
            assert len(state.tracks.ids) <= 5 * (seed + 1)
    assert len(sizes) == 1


def test_a_clip_of_one_frame_is_a_picture(model):
    frame = torch.rand(3, 60, 80)
    ((_, found),) = model.predict_video(frame[None], **ANY)
    (alone,) = model.predict(frame, **ANY)
    assert torch.equal(found.semantic, alone.semantic)
    assert len(found.segments) == len(alone.segments)


def test_frames_of_different_sizes(model, tmp_path):
    frames = [torch.rand(3, 60, 80), torch.rand(3, 60, 84)]
    with pytest.raises(ValueError, match="frame 1 is 60x84"):
        list(model.predict_video(frames))
    _, state = model.eval().predict_frame(frames[0], None)
    with pytest.raises(ValueError, match="of one size, got 60x84 after 60x80"):
        model.predict_frame(frames[1], state)


def test_a_model_that_diverged(model):
    """NaN logits: void in place of segments, and no box."""
    for parameter in model.semantic_head.score.parameters():
        parameter.data.fill_(math.nan)
    found = [f for _, f in model.predict_video(torch.rand(2, 3, 64, 64))]
    assert [f.segments for f in found] == [(), ()] and all(f.void.all() for f in found)
    for parameter in model.parameters():
        parameter.data.fill_(math.nan)
    for _, f in model.predict_video(torch.rand(2, 3, 64, 64), score_threshold=0.0):
        assert f.void.all() and f.draw(torch.rand(3, 64, 64)).size
        assert f.to_dict()["segments"] == []


def test_a_wrong_option(model):
    with pytest.raises(TypeError, match="does not take 'tracks'"):
        model.predict_video(torch.rand(2, 3, 64, 64), tracks=True)


def test_ids_by_hand():
    ids = torch.tensor([[1, 3, 4], [2, 0, 4]], dtype=torch.int32)
    found = Panoptic.from_map(
        ids, {1: 0, 2: 1, 3: 2, 4: 2}, ("a", "b", "c"), (2,), scores={3: 0.5, 4: 0.75}
    )
    named = with_ids(found, torch.tensor([9, 1]), 2)
    assert named.segment_map.tolist() == [[1, 11, 3], [2, 0, 3]]
    assert {s.id: (s.label, s.score) for s in named.segments} == {
        1: (0, None),
        2: (1, None),
        11: (2, 0.5),
        3: (2, 0.75),
    }


def test_it_learns_which_object_is_which(model, clip):
    """A few steps on one pair, of the track head alone: each digit finds itself."""
    target, pair = targets_of(clip), [clip[0][[0, 3]]]
    optimizer = torch.optim.Adam(model.track_head.parameters(), 1e-3)
    model.train()
    for _ in range(30):
        optimizer.zero_grad()
        loss = model.loss(model(pair), [target])["loss_match"]
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05
