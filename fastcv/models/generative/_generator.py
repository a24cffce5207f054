"""What every generator shares: from random numbers to pictures, the same for a seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from fastcv.models._mode import evaluating
from fastcv.models._model import Model
from fastcv.results import Generated


class LatentModel(Model):
    """A model that makes pictures of random numbers, and maybe of what else it is told."""

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

    def example_inputs(self) -> dict[str, Tensor]:
        """What ``forward`` takes, of two pictures, by the names that an exported model has."""
        return {"latents": self.latents(2)}

    def make(self, *inputs: Tensor, batch_size: int) -> Tensor:
        """Pictures ``[N, 3, H, W]`` in [0, 1] of what ``forward`` takes, a batch at a time.

        Runs in eval mode without gradients; the training flags are put back.

        Raises:
            ValueError: ``batch_size`` is under 1.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        parts = [torch.split(given, batch_size) for given in inputs]
        with evaluating(self), torch.inference_mode():
            made = [self.to_pictures(self(*part)) for part in zip(*parts, strict=True)]
        return torch.cat(made)

    @staticmethod
    def to_pictures(output: Tensor) -> Tensor:
        """What ``forward`` returned, in [0, 1]."""
        return output.add(1).div(2).clamp(0, 1)


class Generator(LatentModel):
    """A model with ``forward(latents)``, from ``[B, Z]`` to pictures ``[B, 3, H, W]`` in [-1, 1].

    A subclass sets ``latent_size``. One with ``classes`` is conditional: its forward is
    ``forward(latents, labels)``, and it makes pictures of the classes that it is asked for. A
    generator cannot learn by itself: ``GAN`` puts a discriminator beside it.

    Example:
        >>> from fastcv.models.generative._generator import Generator
        >>> class Plain(Generator):
        ...     latent_size = 3
        ...     def forward(self, latents):
        ...         return latents.tanh()[:, :, None, None].expand(-1, -1, 8, 8)
        >>> Plain().sample(4, seed=1)
        Generated(4 pictures of 8x8, seed 1)
    """

    def sample(
        self,
        n: int | Tensor = 1,
        *,
        labels: int | Sequence[int] | Tensor | None = None,
        seed: int = 0,
        batch_size: int = 8,
    ) -> Generated:
        """Pictures of random numbers, or of given ones.

        Runs in eval mode without gradients; the training flags are put back.

        Args:
            n: how many, or vectors as ``forward`` takes them, such as those of ``latents``.
            labels: of a conditional generator: the class of all pictures, or of each. By default
                the classes in turn.
            seed: of the vectors, where none are given.
            batch_size: pictures at a time.

        Raises:
            ValueError: ``n`` or ``batch_size`` is under 1, vectors of another shape, or labels
                that are not one for each picture, or that the model has no classes for.
        """
        given = isinstance(n, Tensor)
        latents = n if isinstance(n, Tensor) else self.latents(n, seed=seed)
        asked = self._asked(labels, len(latents), latents.device)
        made = self.make(*(t for t in (latents, asked) if t is not None), batch_size=batch_size)
        return Generated(made, None if given else seed, classes=self.classes, labels=asked)

    def example_inputs(self) -> dict[str, Tensor]:
        inputs = super().example_inputs()
        if self.classes:
            inputs["labels"] = torch.arange(2, device=inputs["latents"].device) % len(self.classes)
        return inputs

    def _asked(
        self, labels: int | Sequence[int] | Tensor | None, n: int, device: torch.device
    ) -> Tensor | None:
        """The label of each picture; None of a generator that is not conditional."""
        if not self.classes:
            if labels is not None:
                raise ValueError(f"{type(self).__name__} has no classes, it takes no labels")
            return None
        if labels is None:
            return torch.arange(n, device=device) % len(self.classes)
        asked = torch.as_tensor(labels, device=device)
        asked = asked.expand(n) if asked.ndim == 0 else asked
        check_labels(asked, n, len(self.classes))
        return asked


def check_labels(labels: object, n: int, classes: int, name: str = "labels") -> None:
    """Refuses labels that are not whole numbers of classes, one for each picture.

    Raises:
        TypeError: it is no tensor.
        ValueError: another shape or dtype, or a label that no class has.
    """
    if not isinstance(labels, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(labels).__name__}")
    if labels.dtype != torch.int64 or labels.shape != (n,):
        raise ValueError(f"{name} must be [{n}] int64, got {list(labels.shape)} {labels.dtype}")
    if ((labels < 0) | (labels >= classes)).any():
        raise ValueError(
            f"{name} must be 0 to {classes - 1}, got {int(labels.min())} to {int(labels.max())}"
        )
