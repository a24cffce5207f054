"""What every generator shares: from random numbers to pictures, the same for a seed."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from fastcv.models._mode import evaluating
from fastcv.models._model import Model
from fastcv.results import Generated


class Generator(Model):
    """A model with ``forward(latents)``, from ``[B, Z]`` to pictures ``[B, 3, H, W]`` in [-1, 1].

    A subclass sets ``latent_size``. A generator cannot learn by itself: ``GAN`` puts a
    discriminator beside it.

    Example:
        >>> from fastcv.models.generative._generator import Generator
        >>> class Plain(Generator):
        ...     latent_size = 3
        ...     def forward(self, latents):
        ...         return latents.tanh()[:, :, None, None].expand(-1, -1, 8, 8)
        >>> Plain().sample(4, seed=1)
        Generated(4 pictures of 8x8, seed 1)
    """

    latent_size: int
    """Z, how many random numbers a picture is made of."""

    def latents(self, n: int, *, seed: int = 0) -> Tensor:
        """``n`` vectors ``[n, Z]`` from a normal distribution, the same for a seed on any device;
        more of them begin with the same.

        Raises:
            ValueError: ``n`` is under 1.
        """
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        numbers = np.random.default_rng(seed).standard_normal((n, self.latent_size))
        like = next(self.parameters(), torch.empty(0))
        return torch.from_numpy(numbers).to(like.device, like.dtype)

    def sample(self, n: int | Tensor = 1, *, seed: int = 0, batch_size: int = 8) -> Generated:
        """Pictures of random numbers, or of given ones.

        Runs in eval mode without gradients; the training flags are put back.

        Args:
            n: how many, or vectors as ``forward`` takes them, such as those of ``latents``.
            seed: of the vectors, where none are given.
            batch_size: pictures at a time.

        Raises:
            ValueError: ``n`` or ``batch_size`` is under 1, or vectors of another shape.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        given = isinstance(n, Tensor)
        latents = n if isinstance(n, Tensor) else self.latents(n, seed=seed)
        with evaluating(self), torch.inference_mode():
            made = [self.to_pictures(self(part)) for part in torch.split(latents, batch_size)]
        return Generated(torch.cat(made), None if given else seed)

    @staticmethod
    def to_pictures(output: Tensor) -> Tensor:
        """What ``forward`` returned, in [0, 1]."""
        return output.add(1).div(2).clamp(0, 1)
