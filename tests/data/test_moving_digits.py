"""MovingDigits: what it says of a clip, against its pixels."""

import pytest
import torch
from torch.nn import functional as F

from fastcv.data import MovingDigits, flow_between
from fastcv.ops import flow_warp

SMALL = {"size": (96, 128), "digit_size": (24.0, 48.0), "frames": 5}


@pytest.fixture(scope="module")
def clips():
    data = MovingDigits("val", length=6, **SMALL)
    return [data[i] for i in range(len(data))]


def test_items(clips):
    for frames, targets in clips:
        assert frames.shape == (5, 3, 96, 128) and frames.dtype == torch.float32
        assert frames.min() >= 0 and frames.max() <= 1 and len(targets) == 5
        for target in targets:
            n = len(target["labels"])
            assert target["masks"].shape == (n, 96, 128) and target["masks"].dtype == torch.bool
            assert target["ids"].tolist() == list(range(1, n + 1))
            assert target["places"].shape == (n, 2) and target["camera"].shape == (2,)
            assert (target["labels"] > 0).all() and not target["iscrowd"].any()
            assert target["masks"].sum(0).max() <= 1  # the one on top
            for mask, box, area in zip(
                target["masks"], target["boxes"], target["area"], strict=True
            ):
                y, x = mask.nonzero(as_tuple=True)
                assert box.tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
                assert area == mask.sum()
    assert len({int(t["image_id"]) for _, targets in clips for t in targets}) == 30
    assert sum(len(targets[0]["labels"]) for _, targets in clips) >= 6


def test_digits_keep_their_number(clips):
    for _, targets in clips:
        for target in targets[1:]:
            assert torch.equal(target["labels"], targets[0]["labels"])
            assert torch.equal(target["ids"], targets[0]["ids"])


def test_paths_are_straight(clips):
    for _, targets in clips:
        for places in zip(*(target["places"] for target in targets), strict=True):
            steps = torch.stack(places).diff(dim=0)
            assert steps.abs().max() <= 6 + 1 and (steps.amax(0) - steps.amin(0)).max() <= 1


def test_visible_is_the_share_that_is_seen(clips):
    shares = torch.cat([target["visible"] for _, targets in clips for target in targets])
    assert shares.min() >= 0.6 and shares.max() == 1
    for _, targets in clips:
        for i in range(len(targets[0]["labels"])):
            # A digit's pixels are the same in all frames: its mask where it is seen whole.
            whole = [float(t["area"][i]) for t in targets if t["visible"][i] == 1]
            if whole:
                assert len(set(whole)) == 1
                for t in targets:
                    assert float(t["visible"][i]) == pytest.approx(float(t["area"][i]) / whole[0])


def without_edge(mask):
    """Three pixels less on each side, but not at the border: digits have soft edges."""
    return F.max_pool2d((~mask)[None].float(), 7, 1, 3)[0] == 0


@pytest.mark.parametrize(("later", "earlier"), [(4, 0), (2, 1), (0, 3)])
def test_the_flow_is_exact(clips, later, earlier):
    """Where both frames show the same thing, the warped one is the other."""
    compared = 0
    for frames, targets in clips:
        new, old = targets[later], targets[earlier]
        flow = flow_between(new, old)
        warped = flow_warp(frames[earlier][None], flow[None])[0]
        for mask, of_old in zip(new["masks"], old["masks"], strict=True):
            inside = without_edge(mask)
            seen = flow_warp(without_edge(of_old)[None, None].float(), flow[None])[0, 0]
            both = inside & (seen > 0)
            # A digit covers what is under it but for the last bit.
            torch.testing.assert_close(
                warped[:, both], frames[later][:, both], rtol=1e-6, atol=1e-6
            )
            compared += int(both.sum())
        here, there = (without_edge(~target["masks"].any(0)) for target in (new, old))
        both = here & (flow_warp(there[None, None].float(), flow[None])[0, 0] == 1)
        assert torch.equal(warped[:, both], frames[later][:, both])
        compared += int(both.sum())
    assert compared > 6 * 96 * 128 / 2


def test_a_frame_has_no_flow_to_itself(clips):
    for _, targets in clips:
        assert not flow_between(targets[2], targets[2]).any()


def test_the_same_whatever_the_order(clips):
    again = MovingDigits("val", length=6, **SMALL)
    for index in (4, 0):
        frames, targets = again[index]
        assert torch.equal(frames, clips[index][0])
        assert torch.equal(targets[3]["places"], clips[index][1][3]["places"])
    assert not torch.equal(MovingDigits("val", seed=1, **SMALL)[0][0], clips[0][0])
    with pytest.raises(IndexError):
        again[6]


def test_one_frame():
    frames, targets = MovingDigits("val", size=(96, 96), digit_size=(24, 48), frames=1)[0]
    assert frames.shape == (1, 3, 96, 96) and len(targets) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "dev"}, "split must be one of train, val, test, got 'dev'"),
        ({"frames": 0}, "frames must be 1 to 1000, got 0"),
        ({"max_speed": -1}, "max_speed must be 0 to 1000, got -1"),
        ({"min_visible": 1.5}, "min_visible must be 0 to 1, got 1.5"),
        ({"max_digits": 0}, "max_digits must be 1 to 255, got 0"),
        ({"digit_size": (50, 40)}, "digit_size must be .least, greatest. in pixels"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        MovingDigits(**{"split": "val", **arguments})
