"""Texts out of files, whatever else is in them."""

import unicodedata

import pytest

from fastcv.language import read_texts


def test_lines_in_order_and_normal_form(tmp_path):
    path = tmp_path / "t.txt"
    decomposed = unicodedata.normalize("NFD", "고양이 Bäume")
    path.write_bytes(b"\xef\xbb\xbf" + f"one\r\n\n  two \n{decomposed}".encode())
    assert read_texts(path) == ["one", "two", "고양이 Bäume"]


def test_broken_lines_are_counted(tmp_path):
    path = tmp_path / "t.txt"
    path.write_bytes(b"one\n\xff\xfe\ntwo\n\xc3\x28\n")
    with pytest.warns(UserWarning, match="2 lines are no UTF-8 and were left out"):
        assert read_texts(path) == ["one", "two"]


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_texts(tmp_path / "none.txt")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_texts(tmp_path)
    (tmp_path / "empty.txt").write_text("\n \n")
    with pytest.raises(ValueError, match="has no text: it must have one a line"):
        read_texts(tmp_path / "empty.txt")
