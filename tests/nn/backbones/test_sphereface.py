"""SphereFace-20a: its count and keys, forward by its keys, cosines by hand, public files."""

import math

import pytest
import torch
from torch.nn import functional as F

from fastcv.learn import fit
from fastcv.nn.backbones.sphereface import FaceEmbedding, SphereFace20a

UNITS = (1, 2, 4, 1)


def small(people=3):
    torch.manual_seed(0)
    return SphereFace20a(people, image_size=(32, 16), width=4, embedding_size=6)


def layers():
    """The paper's table 2: the names of its twenty convolutions."""
    return [f"{s}_{i}" for s, units in enumerate(UNITS, 1) for i in range(1, 2 * units + 2)]


def test_count_and_keys():
    with torch.device("meta"):
        model = SphereFace20a(10_574)
    expected, inputs = 0, 3
    for stage, units in enumerate(UNITS):
        width = 64 * 2**stage
        for i in range(2 * units + 1):
            expected += 9 * (inputs if i == 0 else width) * width + width + width  # and PReLU
        inputs = width
    expected += 512 * 7 * 6 * 512 + 512 + 512 * 10_574
    assert sum(p.numel() for p in model.parameters()) == expected == 28_084_544
    keys = {f"conv{name}.{p}" for name in layers() for p in ("weight", "bias")}
    keys |= {f"relu{name}.weight" for name in layers()}
    keys |= {"fc5.weight", "fc5.bias", "fc6.weight"}
    assert set(dict(model.named_parameters())) == keys and len(layers()) == 20


def test_forward_by_its_keys():
    model, faces = small().eval(), torch.rand(2, 3, 32, 16)
    state = model.state_dict()

    def conv(x, name, stride=1):
        x = F.conv2d(x, state[f"conv{name}.weight"], state[f"conv{name}.bias"], stride, 1)
        slope = state[f"relu{name}.weight"][:, None, None]
        return torch.where(x > 0, x, slope * x)

    x = faces * 2 - 1
    for stage, units in enumerate(UNITS, 1):
        x = conv(x, f"{stage}_1", 2)
        for unit in range(units):
            x = x + conv(conv(x, f"{stage}_{2 * unit + 2}"), f"{stage}_{2 * unit + 3}")
    expected = x.flatten(1) @ state["fc5.weight"].T + state["fc5.bias"]
    found = model(faces)
    torch.testing.assert_close(found.embeddings, expected, rtol=1e-4, atol=1e-6)
    for row, a in enumerate(expected):
        for person, b in enumerate(state["fc6.weight"].T):
            cosine = sum((a * b).tolist()) / math.hypot(*a.tolist()) / math.hypot(*b.tolist())
            assert found.cosines[row, person].item() == pytest.approx(cosine, abs=1e-5)
    torch.testing.assert_close(found.norms, expected.norm(dim=1), rtol=1e-4, atol=1e-6)


def test_faces_of_another_size_are_resized():
    model = small().eval()
    faces = F.interpolate(torch.rand(1, 3, 32, 16), scale_factor=2, mode="nearest")
    assert model(faces).embeddings.shape == (1, 6)
    with pytest.raises(ValueError, match=r"image_size must be multiples of 16, got \(30, 16\)"):
        SphereFace20a(3, image_size=(30, 16))


def test_public_files_have_no_steps():
    """Theirs are trained: the loss is at its hardest."""
    file = {k: v for k, v in small().state_dict().items() if not k.startswith("angle.")}
    model = small()
    model.load_state_dict(file)
    assert model.angle.softness() == 5
    own = small()
    own.load_state_dict(small().state_dict())  # an own file says where it was
    assert own.angle.steps == 0


def test_every_parameter_learns():
    model = small()
    found = model(torch.rand(4, 3, 32, 16))
    assert isinstance(found, FaceEmbedding)
    (term,) = model.loss(found, torch.tensor([0, 1, 2, 0])).values()
    term.backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.any(), key


def test_it_learns_a_few_faces(tmp_path, monkeypatch):
    """Three people of noise, each with changes: after 40 steps it knows them all."""
    monkeypatch.setattr("fastcv.learn.History.draw", lambda self, path: path.touch())
    torch.manual_seed(1)
    people = torch.rand(3, 3, 32, 16)
    labels = torch.arange(48) % 3
    faces = (people[labels] + 0.1 * torch.randn(48, 3, 32, 16)).clamp(0, 1)
    model = small()
    fit(
        model,
        torch.utils.data.TensorDataset(faces, labels),
        epochs=10,
        batch_size=12,
        optimizer=lambda parameters: torch.optim.Adam(parameters, lr=3e-3),
        out=tmp_path,
        devices="cpu",
        progress=False,
        tensorboard=False,
    )
    model.eval()
    assert (model(faces).cosines.argmax(dim=1) == labels).all()
    assert model.angle.steps == 40
