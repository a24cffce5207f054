"""The first program of docs/learn.md does what the page says."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "learn.md"


def test_program(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    program = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL).group(1)
    names = {}
    exec(program.replace("epochs=15", "epochs=3, tensorboard=False, progress=False"), names)
    assert names["history"].epochs[-1]["accuracy"] > 0.85  # of digits not trained on
    assert "'accuracy': 0." in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "runs" / "digits").iterdir()} == {
        "last.pt",
        "model.safetensors",
        "best.safetensors",
        "history.csv",
        "epochs.csv",
        "curves.png",
    }
