"""Separation: by the definition, against torchmetrics and mir_eval, and what is refused."""

import math

import pytest
import torch

from fastcv.metrics import improvement, in_best_order, sdr, si_sdr

PEERS = "pip install mir_eval torchmetrics"


def decibels(signal, distortion):
    return 10 * math.log10(signal / distortion)


@pytest.fixture
def sounds():
    draw = torch.Generator().manual_seed(0)
    sources = torch.randn(2, 3000, generator=draw, dtype=torch.float64)
    mixing = torch.tensor([[1.0, 0.2], [-0.3, 0.5]], dtype=torch.float64)
    noise = torch.randn(2, 3000, generator=draw, dtype=torch.float64)
    return mixing @ sources + 0.1 * noise, sources


def test_si_sdr_by_hand(sounds):
    for estimate, source, got in zip(*sounds, si_sdr(*sounds).tolist(), strict=True):
        e, s = estimate.tolist(), source.tolist()
        scale = sum(a * b for a, b in zip(e, s, strict=True)) / sum(b * b for b in s)
        signal = sum((scale * b) ** 2 for b in s)
        rest = sum((a - scale * b) ** 2 for a, b in zip(e, s, strict=True))
        assert got == pytest.approx(decibels(signal, rest), abs=1e-9)


def test_si_sdr_knows_no_level(sounds):
    estimates, sources = sounds
    torch.testing.assert_close(si_sdr(-7 * estimates, 0.2 * sources), si_sdr(estimates, sources))


def test_sdr_is_the_best_that_a_filter_makes(sounds):
    # Least squares over all delays of the source, each written out as a column.
    estimates, sources = sounds
    taps = 5
    for estimate, source, got in zip(
        estimates, sources, sdr(*sounds, filter_length=taps), strict=True
    ):
        columns = torch.zeros(3000 + taps - 1, taps, dtype=torch.float64)
        for delay in range(taps):
            columns[delay : delay + 3000, delay] = source
        longer = torch.cat([estimate, torch.zeros(taps - 1, dtype=torch.float64)])
        near = columns @ torch.linalg.lstsq(columns, longer[:, None]).solution
        rest = longer - near[:, 0]
        expected = decibels(near.square().sum().item(), rest.square().sum().item())
        assert got.item() == pytest.approx(expected, abs=1e-8)


def test_one_tap_is_si_sdr(sounds):
    torch.testing.assert_close(sdr(*sounds, filter_length=1), si_sdr(*sounds))


def test_an_echo_is_no_distortion():
    source = torch.randn(2000, generator=torch.Generator().manual_seed(1))
    source[-20:] = 0  # so that nothing of the echo is cut
    echo = 0.5 * source.roll(20) + 0.1 * source
    assert sdr(echo, source) > 80 and si_sdr(echo, source) < -10
    assert sdr(echo, source, filter_length=20) < 0  # delays of 0 to 19 are not enough


def test_improvement_by_hand(sounds):
    estimates, sources = sounds
    mixture = sources.sum(0)
    gained = improvement(estimates, sources, mixture)
    for k in range(2):
        expected = si_sdr(estimates[k], sources[k]) - si_sdr(mixture, sources[k])
        torch.testing.assert_close(gained[k], expected)
    assert improvement(mixture.expand(2, -1), sources, mixture).abs().max() < 1e-12


def test_best_order_of_three():
    draw = torch.Generator().manual_seed(2)
    sources = torch.randn(3, 500, generator=draw)
    estimates = sources + 0.2 * torch.randn(3, 500, generator=draw)
    shuffled = estimates[[2, 0, 1]]
    found = in_best_order(shuffled, sources)
    assert found.order.tolist() == [1, 2, 0]
    torch.testing.assert_close(found.values, si_sdr(estimates, sources))
    assert si_sdr(shuffled, sources).mean() < 0 < found.values.mean()


def test_against_torchmetrics(sounds):
    audio = pytest.importorskip("torchmetrics.functional.audio", reason=PEERS)
    estimates, sources = sounds
    torch.testing.assert_close(
        si_sdr(estimates, sources),
        audio.scale_invariant_signal_distortion_ratio(estimates, sources),
    )
    torch.testing.assert_close(
        sdr(estimates, sources), audio.signal_distortion_ratio(estimates, sources)
    )


def test_against_mir_eval(sounds):
    separation = pytest.importorskip("mir_eval.separation", reason=PEERS)
    estimates, sources = sounds
    short = estimates[:, :2000].flip(0), sources[:, :2000]
    with pytest.warns(FutureWarning):  # it will move
        values, _, _, order = separation.bss_eval_sources(short[1].numpy(), short[0].numpy())
    found = in_best_order(*short, sdr)
    assert found.order.tolist() == order.tolist() == [1, 0]
    torch.testing.assert_close(found.values, torch.from_numpy(values), atol=1e-6, rtol=0)


def test_silence_and_perfection():
    source = torch.randn(2, 600, generator=torch.Generator().manual_seed(3))
    assert si_sdr(source, source).isposinf().all()
    assert si_sdr(source, torch.zeros(2, 600)).isnan().all()
    assert si_sdr(torch.zeros(2, 600), source).isnan().all()


def test_gradients(sounds):
    estimates, sources = (t[:, :50] for t in sounds)
    assert torch.autograd.gradcheck(si_sdr, (estimates.clone().requires_grad_(), sources))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: si_sdr(x, x[:1]), "of one shape, got"),
        (lambda x: si_sdr(x.int(), x), "must be floating"),
        (lambda x: si_sdr(x[:, :0], x[:, :0]), "of one shape"),
        (lambda x: sdr(x, x, filter_length=0), "filter_length must be 1 to 40, got 0"),
        (lambda x: sdr(x, x), "filter_length must be 1 to 40, got 512"),
        (lambda x: improvement(x, x, x), "mixture must be"),
        (lambda x: in_best_order(x[0], x[0]), r"sources must be \[N, S\]"),
        (lambda x: in_best_order(x.repeat(5, 1), x.repeat(5, 1)), "N from 1 to 8"),
    ],
)
def test_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call(torch.rand(2, 40))
