"""A learning rate that stays, then falls on a line."""

import pytest
import torch

from fastcv.learn.schedules import constant_then_linear


@pytest.mark.parametrize("steps", [1, 2, 7, 200])
@pytest.mark.parametrize("constant", [0.0, 0.25, 0.5, 1.0])
def test_constant_then_linear(steps, constant):
    groups = [{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (2e-4, 1e-3)]
    adam = torch.optim.Adam(groups)
    schedule = constant_then_linear(constant)(adam, steps)
    for step in range(steps):
        left = (steps - step) / (steps * (1 - constant)) if constant < 1 else 1
        for group, lr in zip(adam.param_groups, (2e-4, 1e-3), strict=True):
            assert group["lr"] == pytest.approx(lr * min(1, left))
        adam.step()
        schedule.step()
    assert constant == 1 or adam.param_groups[0]["lr"] == 0


def test_a_wrong_share():
    for wrong in (-0.1, 1.5):
        with pytest.raises(ValueError, match="constant must be a share from 0 to 1, got"):
            constant_then_linear(wrong)
