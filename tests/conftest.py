import pytest
import torch

collect_ignore = ["pretended_device.py"]  # registers a device: test_devices.py runs it, apart

# cuDNN would multiply float32 in TF32, a thousandth off; oracles are float64's.
torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Every device this machine has: the same test runs on each."""
    return torch.device(request.param)
