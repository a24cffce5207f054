"""The page's programs print what it says."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "language.md"


def test_the_programs_print_what_the_page_says(capsys):
    programs = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    for program in programs:
        exec(program, {})
    said = re.findall(r"^print\(.*?\)  # ([^\n]*)$", "".join(programs), re.MULTILINE)
    assert capsys.readouterr().out.splitlines() == said
    assert len(said) == 8
