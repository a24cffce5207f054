"""Passwords: of text, their inverse, random ones that differ, and what is refused."""

import hashlib

import pytest
import torch

from fastcv.models.generative.passwords import (
    check_password,
    draw_passwords,
    groups_of_four,
    inverse_password,
    password_bits,
)


@pytest.mark.parametrize("text", ["", "a", "open sesame", "Gänsefüßchen", "x" * 1000])
@pytest.mark.parametrize("length", [1, 8, 16, 100, 256])
def test_bits_are_the_first_of_sha_256(text, length):
    number = int(hashlib.sha256(text.encode()).hexdigest(), 16)
    bits = password_bits(text, length)
    assert len(bits) == length and int(bits, 2) == number >> (256 - length)


@pytest.mark.parametrize("length", [0, -1, 257])
def test_bits_of_another_length(length):
    with pytest.raises(ValueError, match=f"length must be 1 to 256 bits, got {length}"):
        password_bits("a", length)


def test_the_inverse_is_the_complement():
    for number in range(16):
        assert int(inverse_password(f"{number:04b}"), 2) == 15 - number
        bits = check_password(f"{number:04b}", 4)
        assert torch.equal(check_password(inverse_password(f"{number:04b}"), 4), 1 - bits)


WRONG = ["", "0", "01" * 9, "0123456701234567", "01010101 1010101", "\u0660" * 16]


@pytest.mark.parametrize("wrong", WRONG)
def test_a_wrong_password_is_one_sentence(wrong):
    with pytest.raises(ValueError) as error:
        check_password(wrong, 16)
    text = str(error.value)
    assert text == f"password must be 16 bits of 0 and 1, got {wrong!r} of {len(wrong)}"


def test_none_is_one_sentence():
    with pytest.raises(ValueError, match="a password is needed: 16 bits such as 01010101010101"):
        check_password(None, 16)


@pytest.mark.parametrize("wrong", [7, 0b0110, [0, 1], b"0101", torch.zeros(16)])
def test_what_is_no_text(wrong):
    with pytest.raises(TypeError, match="password must be text of 16 bits such as '01010101"):
        check_password(wrong, 16)


def test_random_ones_are_all_there_and_differ():
    torch.manual_seed(0)
    drawn = draw_passwords(400, 4)
    assert drawn.shape == (400, 4) and set(drawn.unique().tolist()) == {0.0, 1.0}
    assert len({tuple(row) for row in drawn.tolist()}) == 16
    other = draw_passwords(400, 4, other_than=[drawn])
    third = draw_passwords(400, 4, other_than=[drawn, other])
    for a, b in ((drawn, other), (drawn, third), (other, third)):
        assert (a != b).any(dim=1).all()
    assert len({tuple(row) for row in third.tolist()}) == 16


def test_groups_are_numbers():
    numbers = torch.arange(256)
    bits = torch.tensor([[float(b) for b in f"{n:08b}"] for n in range(256)])
    found = groups_of_four(bits)
    assert found.dtype == torch.int64
    assert torch.equal(16 * found[:, 0] + found[:, 1], numbers)
