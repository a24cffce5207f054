"""DenseNet: old checkpoints' keys, and the form that keeps less for the gradient."""

import pytest
import torch

from fastcv.models import create_model
from fastcv.models.classification.densenet import DenseNet

TINY = {"layers": (2, 3), "growth": 4, "width": 8, "num_classes": 3}


def test_old_keys():
    torch.manual_seed(0)
    model, other = DenseNet(**TINY), DenseNet(**TINY)
    old = {}
    for key, value in model.state_dict().items():
        for name in ("norm", "conv"):
            for i in "12":
                key = key.replace(f".{name}{i}.", f".{name}.{i}.")
        old[key] = value
    assert "features.denseblock1.denselayer2.norm.1.running_var" in old
    other.load_state_dict(old)
    for key, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[key], value), key


def test_memory_efficient_has_the_same_gradients_and_keeps_less():
    torch.manual_seed(0)
    plain = create_model("densenet121", num_classes=3, growth=4, width=8)
    efficient = create_model("densenet121", num_classes=3, growth=4, width=8, memory_efficient=True)
    efficient.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, 64, 64)

    def gradients_and_kept(model):
        kept = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
            loss = model.loss(model(x), torch.tensor([0, 2]))["cross_entropy"]
        loss.backward()
        activations = [t for t in kept if not isinstance(t, torch.nn.Parameter)]
        # What shares its memory counts once.
        size = sum({t.untyped_storage().data_ptr(): t.numel() for t in activations}.values())
        return [p.grad for p in model.parameters()], size

    expected, all_kept = gradients_and_kept(plain)
    got, less_kept = gradients_and_kept(efficient)
    for a, b in zip(got, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    assert less_kept < 0.5 * all_kept


@pytest.mark.parametrize("statistic", ["running_mean", "num_batches_tracked"])
def test_memory_efficient_counts_a_batch_once(statistic):
    torch.manual_seed(0)
    plain, efficient = DenseNet(**TINY), DenseNet(**TINY, memory_efficient=True)
    efficient.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, 32, 32)
    for model in (plain, efficient):
        model(x).sum().backward()
    for key, value in plain.state_dict().items():
        if key.endswith(statistic):
            torch.testing.assert_close(efficient.state_dict()[key], value, msg=key)
