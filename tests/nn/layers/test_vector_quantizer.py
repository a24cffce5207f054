"""VectorQuantizer and FrameJitter against the definition in plain loops."""

import copy
import math

import pytest
import torch

from fastcv.nn import VectorQuantizer
from fastcv.nn.layers.frame_jitter import FrameJitter

CODES, SIZE = 5, 3


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return VectorQuantizer(CODES, SIZE)


def frames_of(batch=2, count=7, seed=1):
    return torch.randn(batch, SIZE, count, generator=torch.Generator().manual_seed(seed))


def nearest(vector, codebook):
    distances = [sum((a - b) ** 2 for a, b in zip(vector, c, strict=True)) for c in codebook]
    return distances.index(min(distances))


def test_keys_and_that_none_is_a_parameter(layer):
    shapes = {key: list(value.shape) for key, value in layer.state_dict().items()}
    assert shapes == {
        "_ema_w": [CODES, SIZE],
        "_ema_cluster_size": [CODES],
        "_embedding.weight": [CODES, SIZE],
    }
    assert not list(layer.parameters())
    assert torch.equal(layer._ema_w, layer.codebook) and bool((layer._ema_cluster_size == 1).all())


def test_each_frame_becomes_its_nearest_code(layer):
    frames = frames_of()
    found = layer.eval()(frames)
    codebook = layer.codebook.tolist()
    squares = []
    for b in range(2):
        for t in range(7):
            vector = frames[b, :, t].tolist()
            code = nearest(vector, codebook)
            assert int(found.codes[b, t]) == code
            assert found.frames[b, :, t].tolist() == codebook[code]
            squares += [(x - y) ** 2 for x, y in zip(vector, codebook[code], strict=True)]
    # Sums of 42 numbers near 1 in float32.
    assert float(found.commitment) == pytest.approx(math.fsum(squares) / len(squares), rel=1e-6)


def test_codebook_follows_as_a_running_mean(layer):
    frames = frames_of()
    before, masses = layer.codebook.double().tolist(), [1.0] * CODES
    layer(frames)
    counts, sums = [0] * CODES, [[0.0] * SIZE for _ in range(CODES)]
    for b in range(2):
        for t in range(7):
            vector = frames[b, :, t].tolist()
            code = nearest(vector, before)
            counts[code] += 1
            sums[code] = [a + x for a, x in zip(sums[code], vector, strict=True)]
    masses = [0.99 * m + 0.01 * n for m, n in zip(masses, counts, strict=True)]
    total = math.fsum(masses)
    masses = [(m + 1e-8) / (total + CODES * 1e-8) * total for m in masses]
    for k in range(CODES):
        assert float(layer._ema_cluster_size[k]) == pytest.approx(masses[k], rel=1e-6)
        for j in range(SIZE):
            moved = 0.99 * before[k][j] + 0.01 * sums[k][j]
            assert float(layer._ema_w[k, j]) == pytest.approx(moved, rel=1e-5, abs=1e-7)
            assert float(layer.codebook[k, j]) == pytest.approx(
                moved / masses[k], rel=1e-5, abs=1e-7
            )


def test_gradients_pass_straight_through(layer):
    frames = frames_of().requires_grad_()
    found = layer(frames)
    weights = torch.randn(frames.shape, generator=torch.Generator().manual_seed(2))
    (found.frames * weights).sum().backward()
    assert torch.equal(frames.grad, weights)
    frames.grad = None
    before = layer.eval()(frames)
    before.commitment.backward()
    expected = 2 * (frames - before.frames).detach() / frames.numel()
    torch.testing.assert_close(frames.grad, expected)


def test_padding_is_quantised_but_not_learnt_from(layer):
    frames, mask = frames_of(), torch.ones(2, 7, dtype=torch.bool)
    mask[1, 4:] = False
    other = copy.deepcopy(layer)
    changed = frames.clone()
    changed[1, :, 4:] = 100.0
    found, of_changed = layer(frames, mask), other(changed, mask)
    assert torch.equal(found.commitment, of_changed.commitment)
    assert torch.equal(layer.codebook, other.codebook)
    assert torch.equal(layer._ema_cluster_size, other._ema_cluster_size)
    alone = VectorQuantizer(CODES, SIZE).eval()
    torch.manual_seed(0)
    alone = VectorQuantizer(CODES, SIZE).eval()
    assert torch.equal(alone(changed).codes, of_changed.codes)


def test_nothing_moves_in_eval_mode(layer):
    state = copy.deepcopy(layer.state_dict())
    layer.eval()(frames_of())
    assert all(torch.equal(state[key], value) for key, value in layer.state_dict().items())


def test_resumes_with_the_same_bits(layer, tmp_path):
    for seed in range(3):
        layer(frames_of(seed=seed))
    torch.save(layer.state_dict(), tmp_path / "half.pth")
    resumed = VectorQuantizer(CODES, SIZE)
    resumed.load_state_dict(torch.load(tmp_path / "half.pth", weights_only=True))
    for seed in range(3, 6):
        a, b = layer(frames_of(seed=seed)), resumed(frames_of(seed=seed))
        assert torch.equal(a.frames, b.frames) and torch.equal(a.codes, b.codes)
    assert all(
        torch.equal(value, resumed.state_dict()[key]) for key, value in layer.state_dict().items()
    )


def test_nan_stays_nan_and_does_not_reach_the_codebook(layer):
    frames = frames_of()
    frames[0, 1, 2] = math.nan
    for mode in (True, False):
        found = layer.train(mode)(frames)
        assert int(found.codes[0, 2]) == -1 and found.commitment.isnan()
        assert found.frames[0, :, 2].isnan().any()
        assert int(found.frames.isnan().any(dim=1).sum()) == 1
        assert all(value.isfinite().all() for value in layer.state_dict().values())


def test_half_precision_frames(layer):
    found = layer(frames_of().bfloat16())
    assert found.frames.dtype == torch.bfloat16 and layer.codebook.dtype == torch.float32


@pytest.mark.parametrize(
    ("frames", "mask", "message"),
    [
        (torch.ones(2, 4, 5), None, r"frames must be \[B, 3, T\], got \[2, 4, 5\]"),
        (torch.ones(3, 5), None, r"frames must be \[B, 3, T\], got \[3, 5\]"),
        (torch.ones(2, 3, 5), torch.ones(2, 4).bool(), r"mask must be \[2, 5\] bool, got \[2, 4\]"),
        (torch.ones(2, 3, 5), torch.ones(2, 5), r"mask must be .* got \[2, 5\] torch.float32"),
    ],
)
def test_errors(layer, frames, mask, message):
    with pytest.raises(ValueError, match=message):
        layer(frames, mask)


def test_wrong_numbers():
    with pytest.raises(ValueError, match="codes and size must be at least 1"):
        VectorQuantizer(0, 3)
    with pytest.raises(ValueError, match=r"p must be 0 to 0\.5, got 0\.6"):
        FrameJitter(0.6)


# Jitter.


def test_jitter_shifts_by_0_1_or_2():
    torch.manual_seed(0)
    count = 20_000
    found = FrameJitter(0.12)(torch.arange(float(count)).expand(2, 3, count))
    assert torch.equal(found[0, 0], found[1, 2])  # the same for all
    shifts = (found[0, 0] - torch.arange(count))[:-2].long()
    shares = [float((shifts == s).double().mean()) for s in (0, 1, 2)]
    assert sum(shares) == pytest.approx(1)
    # Four standard deviations of a share of 20,000 draws.
    for share, p in zip(shares, (0.12, 0.76, 0.12), strict=True):
        assert abs(share - p) < 4 * math.sqrt(p * (1 - p) / count)
    assert float(found[0, 0, -1]) == count - 1


def test_no_jitter_in_eval_mode():
    frames = frames_of()
    assert FrameJitter().eval()(frames) is frames
