"""Made-up boxes that benchmarks of nms share."""

import torch


def rpn_like(n, width=1333, height=800, seed=0):
    """Proposals as a region proposal network leaves them: in heaps about the objects of one."""
    g = torch.Generator().manual_seed(seed)
    objects = torch.rand(40, 2, generator=g) * torch.tensor([width, height])
    centre = objects[torch.randint(0, 40, (n,), generator=g)] + torch.randn(n, 2, generator=g) * 60
    side = (4 + 5 * torch.rand(n, generator=g)).exp2()
    aspect = (torch.randn(n, generator=g) * 0.5).exp2()
    size = torch.stack([side * aspect, side / aspect], 1)
    limit = torch.tensor([width, height, width, height])
    boxes = torch.cat([centre - size / 2, centre + size / 2], 1).clamp(min=0).minimum(limit)
    return boxes, torch.rand(n, generator=g)


def spread(n, extent=20000, clusters=0, seed=0):
    """Boxes of 10 to 100 pixels anywhere, or about so many places."""
    g = torch.Generator().manual_seed(seed)
    centre = torch.rand(n, 2, generator=g) * extent
    if clusters:
        middle = torch.rand(clusters, 2, generator=g) * extent
        centre = middle[torch.randint(0, clusters, (n,), generator=g)]
        centre = centre + torch.randn(n, 2, generator=g) * 200
    size = 10 + 90 * torch.rand(n, 2, generator=g)
    return torch.cat([centre - size / 2, centre + size / 2], 1), torch.rand(n, generator=g)
