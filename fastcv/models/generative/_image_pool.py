"""Pictures that a generator made earlier, for its discriminator."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ImagePool(nn.Module):
    """Gives back what it is given, or, half of the time, something older in its place.

    So the discriminator does not forget what the generator used to make. The pictures are buffers:
    a resumed run finds them again. The draws are torch's.

    Args:
        size: how many pictures it keeps; 0: none, and it gives back what it is given.
        shape: of one picture, ``(C, H, W)``.

    Source: Shrivastava et al., "Learning from Simulated and Unsupervised Images through Adversarial
        Training" (2017), section 2.3; Zhu et al. (2017), section 4.

    Example:
        >>> import torch
        >>> from fastcv.models.generative._image_pool import ImagePool
        >>> pool = ImagePool(2, (1, 1, 1))
        >>> pool(torch.tensor([1.0, 2]).view(2, 1, 1, 1)).flatten()  # it fills
        tensor([1., 2.])
        >>> pool.pictures.flatten(), pool.filled
        (tensor([1., 2.]), tensor(2))
    """

    pictures: Tensor
    filled: Tensor

    def __init__(self, size: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        if size < 0:
            raise ValueError(f"size must be 0 or more, got {size}")
        self.size = size
        self.register_buffer("pictures", torch.zeros(size, *shape))
        self.register_buffer("filled", torch.tensor(0))

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> Tensor:
        """``[B, C, H, W]``, each picture itself or an older one.

        Raises:
            ValueError: pictures of another shape.
        """
        if pictures.shape[1:] != self.pictures.shape[1:]:
            raise ValueError(
                f"the pool keeps pictures {list(self.pictures.shape[1:])}, got "
                f"{list(pictures.shape[1:])}: set the system's image_size"
            )
        if not self.size:
            return pictures.detach()
        given = []
        for picture in pictures.detach():
            filled = int(self.filled)
            if filled < self.size:
                self.pictures[filled] = picture
                self.filled += 1
                given.append(picture)
            elif torch.rand(()) > 0.5:
                place = int(torch.randint(self.size, ()))
                given.append(self.pictures[place].to(picture, copy=True))
                self.pictures[place] = picture
            else:
                given.append(picture)
        return torch.stack(given)
