"""The recipe's pairs, and how it measures frames between key frames."""

import pytest
import torch

from fastcv.data import MovingDigits, flow_between
from fastcv.recipes.instance.moving_digits_yolactedge import FramePairs, evaluate_video
from fastcv.results import Instances

SMALL = {"size": (96, 128), "digit_size": (24.0, 48.0)}


def test_pairs():
    clips = MovingDigits("val", frames=3, length=2, **SMALL)
    pairs, (frames, targets) = FramePairs(clips), clips[1]
    images, target = pairs[1]
    assert len(pairs) == 2 and images.shape == (2, 3, 96, 128)
    assert torch.equal(images, frames[[0, 2]])
    assert torch.equal(target["boxes"], targets[2]["boxes"])
    assert torch.equal(target["flow"], flow_between(targets[2], targets[0]))


class Oracle:
    """Knows all of a frame where it works out the one kind, and nothing where the other."""

    def __init__(self, clips, knows_key_frames):
        self.knows_key_frames = knows_key_frames
        self.asked = []
        self.truth = [pair for i in range(len(clips)) for pair in zip(*clips[i], strict=True)]

    def eval(self):
        return self

    def predict_frame(self, frame, state, *, keyframe_interval, max_detections):
        since = 0 if state is None or state + 1 == keyframe_interval else state + 1
        self.asked.append(since)
        target = next(t for image, t in self.truth if torch.equal(image, frame))
        if (since == 0) != self.knows_key_frames:
            target = {key: target[key][:0] for key in ("boxes", "labels", "masks")}
        found = Instances(
            target["boxes"],
            torch.ones(len(target["boxes"])),
            target["labels"],
            classes=MovingDigits.classes,
            image_size=tuple(frame.shape[1:]),
            masks=target["masks"],
        )
        return found, since


@pytest.mark.parametrize("knows_key_frames", [True, False])
def test_frames_between_beside_the_same_in_full(knows_key_frames):
    clips = MovingDigits("val", frames=5, length=2, **SMALL)
    oracle = Oracle(clips, knows_key_frames)
    metrics = evaluate_video(oracle, clips, keyframe_interval=3)
    # Frames 1, 2 and 4 are between; each is asked for once more, by itself.
    assert oracle.asked == [0, 1, 0, 2, 0, 0, 1, 0] * 2
    assert metrics["frame_AP"] == pytest.approx(float(knows_key_frames))
    assert metrics["AP"] == metrics["AP50"] == pytest.approx(float(not knows_key_frames))
    assert metrics["speed_up"] == pytest.approx(metrics["frame_ms"] / metrics["ms"])
