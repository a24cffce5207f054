"""Files are written under a temporary name and moved: a reader never meets half of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside ``path`` to write to; moved there when the block ends well.

    Folders on the way are made. The suffix is kept, for writers that go by it.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from fastcv._files import replacing
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     target = Path(folder, "new", "a.txt")
        ...     with replacing(target) as temporary:
        ...         _ = temporary.write_text("whole")
        ...     target.read_text(), len(list(target.parent.iterdir()))
        ('whole', 1)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
