"""The hook that keeps a commit's subject short."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "message, refused",
    [
        ("a" * 72, False),
        ("a" * 73, True),
        ("a" * 72 + "\n\n" + "b" * 200, False),
        ("a" * 73 + "\n\nbody", True),
        ("é" * 72, False),
        ("é" * 73, True),
    ],
)
def test_a_subject_has_at_most_72_characters(message, refused):
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    hook = next(hook for hook in hooks if hook["id"] == "subject")
    # As pre-commit's pygrep reads a file: bytes, and the options that args name.
    assert hook["language"] == "pygrep" and hook["args"] == ["--multiline"]
    found = re.search(hook["entry"].encode(), message.encode(), re.MULTILINE | re.DOTALL)
    assert bool(found) is refused
