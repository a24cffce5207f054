"""encode_heatmaps against a loop over joints in numpy, decode_heatmaps against torch's argmax."""

import numpy as np
import torch

import fastcv.ops as ops

BATCH, JOINTS, SIDE, SIGMA = 16, 16, 64, 2.0


def points():
    g = torch.Generator().manual_seed(0)
    return (torch.rand(BATCH, JOINTS, 2, generator=g) * SIDE).floor()


def numpy_encode(places):
    """A window of 6 sigma + 1 cells about each joint, one joint after the other, as taught."""
    heatmaps = np.zeros((*places.shape[:-1], SIDE, SIDE), np.float32)
    reach = int(3 * SIGMA)
    size = 2 * reach + 1
    for b, image in enumerate(places):
        for k, (column, row) in enumerate(image):
            x = np.arange(0, size, 1, np.float32)
            y = x[:, None]
            middle = size // 2
            bump = np.exp(-((x - middle) ** 2 + (y - middle) ** 2) / (2 * SIGMA**2))
            left, top = int(column) - reach, int(row) - reach
            x0, y0 = max(0, -left), max(0, -top)
            x1, y1 = min(size, SIDE - left), min(size, SIDE - top)
            heatmaps[b, k, top + y0 : top + y1, left + x0 : left + x1] = bump[y0:y1, x0:x1]
    return heatmaps


def torch_encode(places):
    cells = torch.arange(SIDE, device=places.device)
    x, y = places.unbind(-1)
    row = torch.exp(-((cells - x[..., None]) ** 2) / (2 * SIGMA**2))
    column = torch.exp(-((cells - y[..., None]) ** 2) / (2 * SIGMA**2))
    return column[..., None] * row[..., None, :]


def torch_decode(heatmaps):
    scores, cells = heatmaps.flatten(-2).max(dim=-1)
    y, x = cells // SIDE, cells % SIDE
    padded = torch.nn.functional.pad(heatmaps, (1, 1, 1, 1)).flatten(-2)

    def at(dx, dy):
        index = (y + 1 + dy) * (SIDE + 2) + x + 1 + dx
        value = padded.gather(-1, index[..., None]).squeeze(-1)
        return value.maximum(1e-6 * scores).log()

    centre = at(0, 0)
    offsets = [
        (at(-dx, -dy) - at(dx, dy)) / (2 * (at(-dx, -dy) - 2 * centre + at(dx, dy)))
        for dx, dy in ((1, 0), (0, 1))
    ]
    return torch.stack([x + offsets[0], y + offsets[1]], -1), scores


def test_encode(compare, threads):
    places = points()
    ours = ops.encode_heatmaps(places, (SIDE, SIDE), SIGMA)
    theirs = torch.from_numpy(numpy_encode(places.numpy()))
    assert (ours - theirs).abs().max() < 0.012  # which a bump has where the window ends
    array = places.numpy()
    compare(
        "encode_heatmaps",
        f"{BATCH} x {JOINTS} of {SIDE}^2",
        lambda: ops.encode_heatmaps(places, (SIDE, SIDE), SIGMA),
        lambda: numpy_encode(array),
        peer_name="loop in numpy",
        target=20,
    )


def test_encode_beside_torch(compare, threads):
    places = points()
    ours = ops.encode_heatmaps(places, (SIDE, SIDE), SIGMA)
    torch.testing.assert_close(ours, torch_encode(places))
    compare(
        "encode_heatmaps",
        f"{BATCH} x {JOINTS} of {SIDE}^2, in torch",
        lambda: ops.encode_heatmaps(places, (SIDE, SIDE), SIGMA),
        lambda: torch_encode(places),
        peer_name="torch, a column times a row",
    )


def test_decode(compare, threads):
    places = points().clamp(2, SIDE - 3) + 0.3
    heatmaps = ops.encode_heatmaps(places, (SIDE, SIDE), SIGMA)
    ours, theirs = ops.decode_heatmaps(heatmaps)[0], torch_decode(heatmaps)[0]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)
    compare(
        "decode_heatmaps",
        f"{BATCH} x {JOINTS} of {SIDE}^2",
        lambda: ops.decode_heatmaps(heatmaps),
        lambda: torch_decode(heatmaps),
        peer_name="torch",
        target=3,
    )
