"""A branch of one's own: which way is up for a digit, beside the detector that ships.

    python examples/roi_branch.py

The branch learns for a minute; the detector stays as it is.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from fastcv.data import DrawnDigits
from fastcv.learn import freeze
from fastcv.models import load_model
from fastcv.nn import RoIBranch
from fastcv.ops import MultiScaleRoIAlign
from fastcv.recipes.detection.digits_detector.recipe import WEIGHTS

TOP, BOTTOM = 0, 2  # of DrawnDigits' keypoints


class TiltBranch(RoIBranch):
    """Which way is up for a digit: a direction, learned from its keypoints."""

    name, needs = "tilt", ("keypoints",)

    def loss(self, output, samples):
        points = torch.cat([s.target["keypoints"][s.matched] for s in samples])
        seen = (points[:, [TOP, BOTTOM], 2] > 0).all(dim=1)
        up = F.normalize(points[:, TOP, :2] - points[:, BOTTOM, :2])
        error = (output - up).square().sum(dim=1)
        return error[seen].sum() / max(int(seen.sum()), 1)

    def fields(self, output, found, frame):
        right, down = output.unbind(dim=1)
        return {"tilt": torch.rad2deg(torch.atan2(right, -down))}


def with_tilt():
    """The detector that ships, and the branch with its layers."""
    model = load_model(WEIGHTS)
    freeze(model)
    model.roi_heads.add_branch(
        TiltBranch(),
        roi_pool=MultiScaleRoIAlign(["0", "1", "2", "3"], output_size=7, sampling_ratio=2),
        head=nn.Sequential(nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU()),
        predictor=nn.Linear(128, 2),
    )
    return model


def train(scenes, steps, batch_size=4):
    """A trained model, and the branch's loss at each step."""
    model, data = with_tilt(), DrawnDigits("train", length=scenes)
    learns = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learns, lr=1e-3)
    history = []
    for step in range(steps):
        places = [(step * batch_size + i) % scenes for i in range(batch_size)]
        images, targets = zip(*(data[i] for i in places), strict=True)
        loss = model.loss(model.train()(images), targets)["loss_tilt"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(float(loss.detach()))
    return model, history


def main():
    torch.manual_seed(0)
    _, history = train(scenes=240, steps=60)
    print(f"loss of the branch: {history[0]:.3f} at first, {sum(history[-5:]) / 5:.3f} at the end")


if __name__ == "__main__":
    main()
