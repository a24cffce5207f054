"""flow_warp as ONNX's GridSample."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from fastcv.deploy._onnx_ops import TRANSLATIONS
from fastcv.ops import flow_warp


class Warp(nn.Module):
    def __init__(self, padding, align_corners):
        super().__init__()
        self.options = padding, align_corners

    def forward(self, x, flow):
        return flow_warp(x, flow, *self.options)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize(
    ("padding", "size", "out"),
    [("zeros", (6, 9), (6, 9)), ("border", (6, 9), (4, 12)), ("zeros", (1, 1), (2, 3))],
)
def test_is_grid_sample(tmp_path, padding, size, out, align_corners):
    x, flow = torch.randn(2, 3, *size), torch.randn(2, 2, *out) * 2
    model = Warp(padding, align_corners).eval()
    program = torch.onnx.export(
        model,
        (x, flow),
        opset_version=19,
        dynamo=True,
        custom_translation_table=TRANSLATIONS,
        verbose=False,
    )
    program.save(tmp_path / "warp.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "warp.onnx")
    feed = {i.name: t.numpy() for i, t in zip(session.get_inputs(), (x, flow), strict=True)}
    (found,) = session.run(None, feed)
    np.testing.assert_allclose(found, model(x, flow).numpy(), rtol=1e-4, atol=1e-5)
