"""Models on their way to users: faster on a CPU, or as an ONNX file."""

from fastcv.deploy.onnx import export_onnx
from fastcv.deploy.optimize import optimize

__all__ = ["export_onnx", "optimize"]
