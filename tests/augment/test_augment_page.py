"""The first program of docs/augment.md runs and does what it says."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "augment.md"


def test_program():
    names = {}
    exec(re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL).group(1), names)
    assert names["images"].shape == (8, 3, 192, 192)
    for target in names["targets"]:
        assert len(target["boxes"]) == len(target["labels"]) == len(target["masks"])
        assert bool((target["boxes"][:, 2:] > target["boxes"][:, :2]).all())
