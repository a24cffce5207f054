"""The template: what one call through the dispatcher costs, and a copy at memory speed."""

import torch

import fastcv.ops as ops


def test_call_overhead(compare):
    x = torch.randn(10)
    compare(
        "identity", "10 values: call overhead", lambda: ops.identity(x), x.clone, peer_name="torch"
    )


def test_copy(compare, threads):
    x = torch.randn(1 << 22)
    compare("identity", "16 MiB", lambda: ops.identity(x), x.clone, peer_name="torch")
