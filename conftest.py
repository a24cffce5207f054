"""What tests and benchmarks share: what this machine cannot run is left out."""

import torch

# Before pytest imports its files one by one: run twice, a registry would be two.
import fastcv.models._registry  # noqa: F401

PEERS = ("_torchvision.py", "_timm.py", "_smp.py", "_transformers.py", "_captum.py")


def pytest_addoption(parser):
    parser.addoption(
        "--without-torchvision",
        action="store_true",
        help="leave out the tests against peers (PEERS below): no CUDA in torch, none of these",
    )


def pytest_ignore_collect(collection_path, config):
    if config.getoption("--without-torchvision"):
        return collection_path.name.endswith(PEERS) or None
    return None


def pytest_collection_modifyitems(config, items):
    # Deselected, not skipped: without a GPU there is nothing these could run on.
    if torch.cuda.is_available():
        return
    cuda = [item for item in items if item.get_closest_marker("cuda")]
    items[:] = [item for item in items if not item.get_closest_marker("cuda")]
    if cuda:
        config.hook.pytest_deselected(items=cuda)
