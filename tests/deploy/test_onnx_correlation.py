"""correlation as ONNX's products and means."""

import onnxruntime
import torch
from torch import nn

from fastcv.deploy._onnx_ops import TRANSLATIONS
from fastcv.ops import correlation


class Correlate(nn.Module):
    def __init__(self, radius):
        super().__init__()
        self.radius = radius

    def forward(self, a, b):
        return correlation(a, b, self.radius)


def test_the_file_does_as_the_op(tmp_path):
    radius = 2
    a, b = torch.randn(2, 2, 5, 6, 7).unbind(0)
    program = torch.onnx.export(
        Correlate(radius).eval(),
        (a, b),
        dynamo=True,
        opset_version=18,
        custom_translation_table=TRANSLATIONS,
        verbose=False,
    )
    program.save(tmp_path / "correlation.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "correlation.onnx")
    names = [entry.name for entry in session.get_inputs()]
    (found,) = session.run(None, dict(zip(names, (a.numpy(), b.numpy()), strict=True)))
    torch.testing.assert_close(torch.from_numpy(found), correlation(a, b, radius))
