"""Moving images and what is known of them: rotate, shear, translate, scale, flip."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from fastcv.augment._warp import sample
from fastcv.augment.targets import Targets, is_places, move_targets


def affine_matrices(
    size: tuple[int, int],
    *,
    angle: float | Tensor = 0.0,
    translate: tuple[float | Tensor, float | Tensor] = (0.0, 0.0),
    scale: float | Tensor = 1.0,
    shear: tuple[float | Tensor, float | Tensor] = (0.0, 0.0),
) -> Tensor:
    """Matrices that shear, scale and rotate about the image's centre, then translate.

    Each argument is a number, or one for each image ``[B]``.

    Args:
        size: height and width of the images.
        angle: degrees, counter-clockwise as one sees it.
        translate: pixels to the right and down.
        scale: above 0.
        shear: how far a point moves to the right for each pixel that it is below the centre, then
            down for each pixel that it is to the right of it.

    Returns:
        ``[B, 3, 3]`` float64 on the CPU, from old to new pixel coordinates; B is 1 where all are
        numbers.

    Example:
        >>> from fastcv.augment import affine_matrices
        >>> affine_matrices((4, 4), translate=(2.0, 0.0))[0].tolist()
        [[1.0, 0.0, 2.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    given = (angle, *translate, scale, *shear)
    numbers = (torch.as_tensor(v, dtype=torch.float64, device="cpu") for v in given)
    turn, right, down, larger, shear_x, shear_y = torch.broadcast_tensors(
        *(n.reshape(-1) for n in numbers)
    )  # type: ignore[no-untyped-call]  # torch's is untyped
    cos, sin = (turn * (math.pi / 180)).cos(), (turn * (math.pi / 180)).sin()
    rotation = larger.view(-1, 1, 1) * _matrices(cos, sin, -sin, cos)
    one, zero = torch.ones_like(turn), torch.zeros_like(turn)
    sheared = _matrices(one, zero, shear_y, one) @ _matrices(one, shear_x, zero, one)
    linear = rotation @ sheared
    centre = torch.tensor([size[1] / 2, size[0] / 2], dtype=torch.float64)
    matrices = torch.eye(3, dtype=torch.float64).repeat(len(turn), 1, 1)
    matrices[:, :2, :2] = linear
    matrices[:, :2, 2] = torch.stack([right, down], dim=1) + centre - linear @ centre
    return matrices


def warp(
    images: Tensor,
    targets: Targets,
    matrices: Tensor,
    *,
    size: tuple[int, int] | None = None,
    fill: float = 0.0,
) -> tuple[Tensor, Targets]:
    """Move images by matrices, and their targets with them.

    Args:
        images: ``[B, 3, H, W]``; sampled bilinearly.
        targets: None, a tensor, or a dict for each image.
        matrices: ``[B, 3, 3]`` or ``[1, 3, 3]``, as of ``affine_matrices``.
        size: height and width of the result; None: as before.
        fill: the value outside the image.

    Returns:
        images and targets; see ``move_targets`` for the latter.
    """
    new_size = (images.shape[-2], images.shape[-1]) if size is None else size
    matrices = matrices.expand(len(images), 3, 3)
    return sample(images, matrices, new_size, fill=fill), move_targets(targets, matrices, new_size)


def flip(
    images: Tensor,
    targets: Targets = None,
    *,
    horizontal: bool | Tensor = True,
    vertical: bool | Tensor = False,
    keypoint_order: list[int] | None = None,
) -> tuple[Tensor, Targets]:
    """Mirror images, to the bit, and their targets.

    Args:
        images: ``[B, 3, H, W]``.
        targets: None, a tensor, or a dict for each image.
        horizontal: left to right; a bool, or one for each image ``[B]``.
        vertical: top to bottom; likewise.
        keypoint_order: for keypoints whose names say a side, the place of each one's other: a
            left eye is a right eye in a mirror. It is used where one of the two flips is done.

    Example:
        >>> import torch
        >>> from fastcv.augment import flip
        >>> images, targets = flip(
        ...     torch.arange(3.0).expand(1, 3, 1, 3), [{"boxes": torch.tensor([[0.0, 0, 1, 1]])}]
        ... )
        >>> images[0, 0, 0], targets[0]["boxes"]
        (tensor([2., 1., 0.]), tensor([[2., 0., 3., 1.]]))
    """
    height, width = images.shape[-2:]
    across, over = (
        torch.as_tensor(which, device="cpu").expand(len(images)) for which in (horizontal, vertical)
    )
    for which, axis in ((across, -1), (over, -2)):
        index = which.to(images.device).view(-1, 1, 1, 1)
        images = torch.where(index, images.flip(axis), images)
    if not is_places(targets):
        return images, targets
    matrices = torch.eye(3, dtype=torch.float64).repeat(len(images), 1, 1)
    for row, which, side in ((0, across, width), (1, over, height)):
        matrices[which, row, row], matrices[which, row, 2] = -1, side
    moved = move_targets(targets, matrices, (height, width))
    if keypoint_order is not None:
        for target, mirrored in zip(moved, (across != over).tolist(), strict=True):
            if mirrored and "keypoints" in target:
                target["keypoints"] = target["keypoints"][:, keypoint_order]
    return images, moved


def rotate90(images: Tensor, targets: Targets = None, *, turns: int = 1) -> tuple[Tensor, Targets]:
    """Turn all images counter-clockwise by quarters, to the bit; height and width may swap.

    Args:
        images: ``[B, 3, H, W]``.
        targets: None, a tensor, or a dict for each image.
        turns: how many quarters.
    """
    height, width = images.shape[-2:]
    turns %= 4
    new = (width, height) if turns % 2 else (height, width)
    quarter = torch.tensor([[0.0, 1], [-1, 0]], dtype=torch.float64)
    matrix = torch.eye(3, dtype=torch.float64)
    matrix[:2, :2] = torch.linalg.matrix_power(quarter, turns)
    middle, new_middle = (torch.tensor([w / 2, h / 2]).double() for h, w in ((height, width), new))
    matrix[:2, 2] = new_middle - matrix[:2, :2] @ middle
    moved = move_targets(targets, matrix.expand(len(images), 3, 3), new)
    return torch.rot90(images, turns, dims=(-2, -1)), moved


def _matrices(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """``[[a, b], [c, d]]`` for each image, ``[B, 2, 2]``."""
    return torch.stack([a, b, c, d], dim=1).view(-1, 2, 2)
