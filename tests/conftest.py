import pytest
import torch


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def device(request: pytest.FixtureRequest) -> torch.device:
    """Every device this machine has: the same test runs on each."""
    return torch.device(request.param)


def pytest_collection_modifyitems(config, items):
    # Deselected, not skipped: without a GPU there is nothing these could run on.
    if torch.cuda.is_available():
        return
    cuda = [item for item in items if item.get_closest_marker("cuda")]
    items[:] = [item for item in items if not item.get_closest_marker("cuda")]
    if cuda:
        config.hook.pytest_deselected(items=cuda)
