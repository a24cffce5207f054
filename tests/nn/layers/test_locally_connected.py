"""The local layer against its definition, place by place."""

import torch

from fastcv.nn.layers.locally_connected import LocallyConnected2d


def test_by_definition():
    torch.manual_seed(0)
    layer = LocallyConnected2d(2, 3, size=(2, 4)).double()
    torch.nn.init.normal_(layer.bias)
    x = torch.randn(2, 2, 2, 4, dtype=torch.float64)
    found = layer(x)
    for n in range(2):
        for o in range(3):
            for row in range(2):
                for column in range(4):
                    kernel = layer.weight[row * 4 + column, o].reshape(2, 3, 3)
                    want = layer.bias[o, row, column]
                    for c in range(2):
                        for dy in (-1, 0, 1):
                            for dx in (-1, 0, 1):
                                y, z = row + dy, column + dx
                                if 0 <= y < 2 and 0 <= z < 4:
                                    want = want + kernel[c, dy + 1, dx + 1] * x[n, c, y, z]
                    torch.testing.assert_close(found[n, o, row, column], want)
