"""dense_crf against mean field by its definition, over the lattice and over exact Gaussians."""

import itertools
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import skimage.data
import torch
from torch.library import opcheck

from fastcv.ops import dense_crf, unary_from_labels

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
# Of probabilities: rounding of the result, and of the energies in it.
TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}
SCALES = {"gaussian_sxy": 1.5, "bilateral_sxy": 4.0, "bilateral_srgb": 40.0}
WEIGHTS = {"gaussian_weight": 2.0, "bilateral_weight": 3.0}


def simplex(x):
    """Vertices about a point of the hyperplane and its barycentric coordinates, by trying all.

    The simplices at a vertex whose coordinates are multiples of d + 1 are the permutations of one:
    its vertex k has k in all places but the last k, which have k - (d + 1).
    """
    n = len(x)
    low = np.floor(x / n).astype(int)
    roots = [low + steps for steps in itertools.product((0, 1), repeat=n)]
    roots = np.array([root for root in roots if root.sum() == 0]) * n
    canonical = np.array([[k] * (n - k) + [k - n] * k for k in range(n)])
    shapes = np.array([canonical[:, list(order)] for order in itertools.permutations(range(n))])
    vertices = roots[:, None, None, :] + shapes[None]  # [roots, shapes, vertex, coordinate]
    vertices = vertices.reshape(-1, n, n)
    # The last coordinate follows from the others; in its place: the weights' sum is 1.
    systems = vertices.transpose(0, 2, 1).astype(float)
    systems[:, -1] = 1
    weights = np.linalg.solve(systems, np.append(x[:-1], 1.0)[None, :, None])[..., 0]
    best = weights.min(axis=1).argmax()
    assert weights[best].min() > -1e-9
    return {
        tuple(map(int, v)): float(w) for v, w in zip(vertices[best], weights[best], strict=True)
    }


def lattice_matrix(features):
    """What the filter makes of each pixel's unit vector, ``[N, N]``, before normalisation."""
    count, d = features.shape
    columns = np.zeros((d + 1, d))  # an orthonormal basis of the hyperplane
    for i in range(1, d + 1):
        columns[:i, i - 1], columns[i, i - 1] = 1, -i
    columns /= np.linalg.norm(columns, axis=0)
    points = features @ columns.T * math.sqrt(2 / 3) * (d + 1)
    corners = [simplex(x) for x in points]
    numbers = {v: i for i, v in enumerate(dict.fromkeys(v for c in corners for v in c))}
    splat = np.zeros((len(numbers), count))
    for pixel, corner in enumerate(corners):
        for vertex, weight in corner.items():
            splat[numbers[vertex], pixel] = weight
    values = splat
    for axis in range(d + 1):
        blurred = values.copy()
        for vertex, i in numbers.items():
            step = np.ones(d + 1, int)
            step[axis] -= d + 1
            for neighbour in (np.array(vertex) + step, np.array(vertex) - step):
                j = numbers.get(tuple(map(int, neighbour)))
                if j is not None:
                    blurred[i] += values[j] / 2
        values = blurred
    return splat.T @ values


def gaussian_matrix(features):
    """exp(-|f_i - f_j|^2 / 2), ``[N, N]``."""
    distance = ((features[:, None] - features[None]) ** 2).sum(-1)
    return np.exp(-distance / 2)


def features_of(image, sxy, srgb):
    """Of an image ``[K, H, W]`` in levels, about the op's origin: ``[H * W, 2 or 2 + K]``."""
    _, height, width = image.shape
    y, x = np.mgrid[:height, :width]
    rows = [(x - width // 2 + 0.31) / sxy, (y - height // 2 + 0.17) / sxy]
    if srgb is not None:
        rows += list((image - 127.5) / srgb)
    return np.stack([row.ravel() for row in rows], axis=1)


def mean_field(unary, kernels, compatibility, iterations):
    """Marginals of one image, ``[C, H, W]``, of kernels ``(weight, matrix)``."""
    energies = unary.double().flatten(1)
    labels = len(energies)
    mu = 1 - torch.eye(labels) if compatibility is None else compatibility
    q = torch.softmax(-energies, 0)
    for _ in range(iterations):
        message = torch.zeros_like(q)
        for weight, matrix in kernels:
            k = torch.from_numpy(matrix)
            root = k.sum(1).sqrt()
            message += weight * q @ (k / root / root[:, None]).T
        q = torch.softmax(-energies - mu.double() @ message, 0)
    return q.view(unary.shape)


def problem(shape, channels=3):
    batch, labels, height, width = shape
    g = torch.Generator().manual_seed(labels)
    unary = torch.rand(shape, generator=g, dtype=torch.float64) * 3
    return unary, torch.rand(batch, channels, height, width, generator=g, dtype=torch.float64)


def expected(unary, image, matrix, iterations, compatibility=None):
    results = []
    for u, i in zip(unary, image, strict=True):
        levels = i.double().numpy() * 255
        kernels = [
            (2.0, matrix(features_of(levels, 1.5, None))),
            (3.0, matrix(features_of(levels, 4.0, 40.0))),
        ]
        results.append(mean_field(u, kernels, compatibility, iterations))
    return torch.stack(results)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_matches_the_definition(device, dtype, channels):
    unary, image = problem((2, 3, 4, 5), channels)
    unary = unary.to(dtype)
    if dtype != torch.float64:
        image = image.float()  # of which the levels are made
    want = expected(unary, image, lattice_matrix, 3)
    q = dense_crf(unary.to(device), image.to(device), iterations=3, **SCALES, **WEIGHTS)
    assert q.dtype == dtype and q.is_contiguous()
    close = TOLERANCE[dtype]
    torch.testing.assert_close(q.cpu().double(), want, rtol=0, atol=close)


@pytest.mark.parametrize("labels", [1, 16, 17, 40])
@pytest.mark.parametrize("own", [False, True], ids=["Potts", "a matrix"])
def test_any_number_of_labels_and_any_compatibility(device, labels, own):
    unary, image = problem((1, labels, 3, 7), channels=1)
    g = torch.Generator().manual_seed(1)
    matrix = torch.rand(labels, labels, generator=g, dtype=torch.float64) if own else None
    want = expected(unary, image, lattice_matrix, 2, matrix)
    on_device = None if matrix is None else matrix.to(device)
    q = dense_crf(unary.to(device), image.to(device), iterations=2, compatibility=on_device,
                  **SCALES, **WEIGHTS)  # fmt: skip
    torch.testing.assert_close(q.cpu(), want, rtol=0, atol=1e-11)


def test_near_exact_gaussians(device):
    """The lattice's Gaussian is an approximation: marginals were within 0.056, 0.0085 rms."""
    photograph = skimage.data.astronaut()[60:108:2, 180:244:2]
    image = torch.from_numpy(photograph.transpose(2, 0, 1).copy())[None].double() / 255
    unary, _ = problem((1, 4, 24, 32))
    want = expected(unary, image, gaussian_matrix, 5)
    q = dense_crf(unary.to(device), image.to(device), iterations=5, **SCALES, **WEIGHTS).cpu()
    assert (q - want).abs().max() < 0.08
    assert (q - want).square().mean().sqrt() < 0.012
    # Random energies leave some pixels undecided.
    assert (q.argmax(1) == want.argmax(1)).double().mean() > 0.97


def test_the_filter_is_near_the_exact_gaussian_sum(device):
    """Seen through one step of two labels: log q_1 / q_0 is linear in what the filter gives.

    What is filtered is noise, the hardest case; its error was 0.121 of its size, in rms.
    """
    photograph = skimage.data.astronaut()[60:108:2, 180:244:2]
    levels = photograph.transpose(2, 0, 1).astype(float)
    g = torch.Generator().manual_seed(0)
    unary = torch.randn(1, 2, 24, 32, generator=g, dtype=torch.float64)
    image = torch.from_numpy(levels)[None] / 255
    q = dense_crf(unary.to(device), image.to(device), iterations=1, gaussian_weight=0,
                  bilateral_weight=1.0, bilateral_sxy=6.0, bilateral_srgb=30.0).cpu()  # fmt: skip
    found = (q[0, 1] / q[0, 0]).log() + unary[0, 1] - unary[0, 0]
    kernel = gaussian_matrix(features_of(levels, 6.0, 30.0))
    root = np.sqrt(kernel.sum(1))
    signal = torch.softmax(-unary[0], 0)
    signal = (signal[1] - signal[0]).flatten().numpy()
    exact = (kernel / root / root[:, None]) @ signal
    error = found.flatten().numpy() - exact
    assert np.sqrt((error**2).mean()) < 0.15 * np.sqrt((exact**2).mean())


def test_labels_follow_the_picture():
    image = torch.zeros(1, 3, 40, 60, dtype=torch.uint8)
    image[..., 30:] = 200
    truth = (torch.arange(60) >= 30).long().expand(1, 40, 60)
    g = torch.Generator().manual_seed(0)
    noisy = torch.where(torch.rand(1, 40, 60, generator=g) < 0.3, 1 - truth, truth)
    q = dense_crf(unary_from_labels(noisy, 2), image)
    assert torch.equal(q.argmax(1), truth)


def test_no_iterations_and_no_kernels_leave_the_softmax(device):
    unary, image = (t.to(device) for t in problem((2, 5, 6, 7)))
    softmax = torch.softmax(-unary, 1)
    torch.testing.assert_close(dense_crf(unary, image, iterations=0), softmax)
    q = dense_crf(unary, image, gaussian_weight=0, bilateral_weight=0)
    torch.testing.assert_close(q, softmax)


@pytest.mark.parametrize("own", [False, True], ids=["Potts", "a matrix"])
def test_gradcheck(device, own):
    unary, image = (t.to(device) for t in problem((2, 3, 3, 4)))
    matrix = torch.rand(3, 3, dtype=torch.float64, device=device) if own else None
    unary.requires_grad_()
    for iterations in (0, 1, 3):
        assert torch.autograd.gradcheck(
            lambda u, n=iterations: dense_crf(
                u, image, iterations=n, compatibility=matrix, **SCALES, **WEIGHTS
            ),
            unary,
        )


@pytest.mark.parametrize("dtype", DTYPES[1:])
def test_gradient_in_other_dtypes(device, dtype):
    unary, image = problem((1, 18, 5, 6))
    unary = unary.to(dtype)
    weights = torch.rand(unary.shape, generator=torch.Generator().manual_seed(0)).to(dtype)

    def gradient(u, i, w):
        u = u.detach().to(device).requires_grad_()
        q = dense_crf(u, i.to(device), iterations=2, **SCALES, **WEIGHTS)
        (grad,) = torch.autograd.grad(q, u, w.to(device))
        return grad.cpu()

    want = gradient(unary.double(), image.float().double(), weights.double())
    got = gradient(unary, image.float(), weights)
    assert got.dtype == dtype
    close = TOLERANCE[dtype] * want.abs().max().item()
    torch.testing.assert_close(got.double(), want, rtol=0, atol=5 * close)


def test_only_the_gradient_by_unary(device):
    unary, image = (t.to(device) for t in problem((1, 2, 3, 4)))
    image.requires_grad_()
    with pytest.raises(RuntimeError, match="only the gradient by unary"):
        dense_crf(unary, image).sum().backward()
    unary.requires_grad_()
    (grad,) = torch.autograd.grad(
        dense_crf(unary, image.detach()).square().sum(), unary, create_graph=True
    )
    with pytest.raises(RuntimeError, match="gradient of its gradient"):
        grad.sum().backward()


def test_any_strides(device):
    unary, image = (t.to(device) for t in problem((2, 6, 8, 10)))
    q = dense_crf(unary, image, iterations=2)
    for view in (
        lambda t: t.contiguous(memory_format=torch.channels_last),
        lambda t: t.mT.contiguous().mT,
        lambda t: torch.stack([t, t], -1)[..., 0],
    ):
        assert torch.equal(dense_crf(view(unary), view(image), iterations=2), q)


def test_images_of_a_batch_do_not_meet(device):
    unary, image = (t.to(device) for t in problem((3, 4, 9, 11)))
    q = dense_crf(unary, image, iterations=2)
    for b in range(3):
        single = dense_crf(unary[b : b + 1], image[b : b + 1], iterations=2)
        assert torch.equal(q[b : b + 1], single)


def test_bytes_are_levels(device):
    unary, _ = problem((1, 3, 6, 7))
    image = torch.randint(0, 256, (1, 3, 6, 7), dtype=torch.uint8)
    unary, image = unary.to(device), image.to(device)
    q = dense_crf(unary, image)
    torch.testing.assert_close(dense_crf(unary, image.double() / 255), q)


def test_the_same_bits_for_any_number_of_threads():
    unary, image = problem((1, 21, 70, 90))
    unary, image = unary.float(), image.float()
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        u = unary.clone().requires_grad_()
        q = dense_crf(u, image, iterations=3)
        results.append((q.detach(), torch.autograd.grad(q.square().sum(), u)[0]))
    torch.set_num_threads(before)
    for q, grad in results:
        assert torch.equal(q, results[0][0]) and torch.equal(grad, results[0][1])


ISA_PROGRAM = """
import torch
from fastcv.ops import dense_crf
g = torch.Generator().manual_seed(0)
unary = torch.rand(1, 21, 12, 13, generator=g, dtype=torch.float64) * 3
image = torch.rand(1, 3, 12, 13, generator=g)
weights = torch.rand(unary.shape, generator=g, dtype=torch.float64)
def run(dtype):
    u = unary.to(dtype).requires_grad_()
    q = dense_crf(u, image.to(dtype), iterations=3)
    return q.detach().double(), torch.autograd.grad(q, u, weights.to(dtype))[0].double()
for want, got in zip(run(torch.float64), run(torch.float32)):
    assert (got - want).abs().max() < 2e-5 * want.abs().max()
"""


@pytest.mark.parametrize("isa", ["portable", "avx2", "avx512"])
def test_every_instruction_set(isa):
    subprocess.run(
        [sys.executable, "-c", ISA_PROGRAM], check=True, env={**os.environ, "FASTCV_ISA": isa}
    )


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 0, 5), (1, 3, 1, 1)])
def test_empty_and_smallest(device, shape):
    unary = torch.rand(shape, device=device).requires_grad_()
    image = torch.rand(shape[0], 3, *shape[2:], device=device)
    q = dense_crf(unary, image)
    assert q.shape == unary.shape
    q.sum().backward()
    assert unary.grad.shape == unary.shape


def test_what_is_not_finite(device):
    unary, image = problem((1, 3, 5, 6))
    unary[0, 1, 2, 3] = float("inf")  # this label is out of the question there
    q = dense_crf(unary.to(device), image.to(device)).cpu()
    assert q[0, 1, 2, 3] == 0 and q.isfinite().all()
    unary[0, 0, 0, 0] = float("nan")
    assert dense_crf(unary.to(device), image.to(device)).isnan().any()
    image[0, 0, 1, 1] = float("nan")  # some vertex or other, no crash
    assert dense_crf(unary.to(device), image.to(device)).shape == unary.shape


def test_opcheck(device):
    unary, image = (t.to(device) for t in problem((2, 3, 4, 5)))
    numbers = (2, 1.5, 2.0, 4.0, 40.0, 3.0)
    for matrix in (None, torch.rand(3, 3, dtype=torch.float64, device=device)):
        opcheck(
            torch.ops.fastcv.dense_crf,
            (unary.clone().requires_grad_(), image * 255, matrix, *numbers),
        )
        opcheck(
            torch.ops.fastcv._dense_crf_backward,
            (unary, unary, image * 255, matrix, *numbers),
            test_utils=("test_schema", "test_faketensor", "test_aot_dispatch_dynamic"),
        )


def test_compile(device):
    unary, image = (t.to(device) for t in problem((1, 3, 6, 7)))
    compiled = torch.compile(lambda u, i: dense_crf(u, i, iterations=2) * 2, fullgraph=True)
    assert torch.equal(compiled(unary, image), dense_crf(unary, image, iterations=2) * 2)
