"""Training on a GPU: what it does on a CPU; it goes on there, and leaves files that need no GPU."""

import pytest
import torch
from safetensors.torch import load_file

pytestmark = [pytest.mark.cuda, pytest.mark.usefixtures("quick_curves")]


def losses(history):
    return [row["loss"] for row in history.steps]


@pytest.fixture(scope="module")
def on_cpu(digits, tmp_path_factory):
    return digits.train(tmp_path_factory.mktemp("cpu"), scheduler=None)


def test_learns_what_it_learns_on_a_cpu(digits, on_cpu, tmp_path):
    model, history = digits.train(tmp_path, scheduler=None, devices="cuda")
    assert next(model.parameters()).is_cuda
    # Sums in another order, and sixteen steps for that to grow.
    assert losses(history) == pytest.approx(losses(on_cpu[1]), rel=1e-2)
    assert history.epochs[-1]["accuracy"] == pytest.approx(
        on_cpu[1].epochs[-1]["accuracy"], abs=0.05
    )
    written = load_file(tmp_path / "model.safetensors")
    for name, value in model.state_dict().items():
        assert torch.equal(written[name], value.cpu())


@pytest.mark.parametrize("then", ["cuda", "cpu"])
def test_goes_on(digits, on_cpu, tmp_path, then):
    digits.train(tmp_path, scheduler=None, devices="cuda", epochs=1)
    model, history = digits.train(tmp_path, scheduler=None, devices=then)
    assert next(model.parameters()).device.type == then
    assert losses(history) == pytest.approx(losses(on_cpu[1]), rel=1e-2)


def test_in_half_precision(digits, on_cpu, tmp_path):
    _, history = digits.train(tmp_path, scheduler=None, devices="cuda", precision="bf16-mixed")
    assert losses(history)[-1] == pytest.approx(losses(on_cpu[1])[-1], rel=0.2)


def test_ragged_batches_and_shared_forward(digits, tmp_path):
    """What a data set's own collate makes is moved, and the turns share a graph there as well."""

    class Ragged(torch.utils.data.Dataset):
        def __len__(self):
            return 16

        def __getitem__(self, index):
            return torch.randn(1 + index % 3, 2), {"points": torch.randn(2, 2)}

        def collate(self, items):
            return [points for points, _ in items], [target for _, target in items]

    class Means(digits.PoolToy):
        def forward(self, clouds):
            assert all(cloud.is_cuda for cloud in clouds)
            return super().forward(torch.stack([cloud.mean(0) for cloud in clouds]))

        def loss(self, output, targets, player):
            assert all(target["points"].is_cuda for target in targets)
            points = torch.stack([target["points"].mean(0) for target in targets])
            return super().loss(output, points, player)

    options = dict(devices="cuda", save_every=1, every={"mover": 2})
    model, history = digits.train_toy(tmp_path, Means, train_data=Ragged(), **options)
    assert len(history.steps) == 4 and model.filled == 20 and model.pool.is_cuda
