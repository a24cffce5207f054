"""Downloads that resume, are checked, and appear whole."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from tqdm import tqdm

CHUNK = 1 << 20
TIMEOUT = 30.0  # seconds without a byte


def cache_folder() -> Path:
    """``$FASTCV_HOME/weights``; ``~/.cache/fastcv/weights`` where it is not set."""
    return Path(os.environ.get("FASTCV_HOME") or "~/.cache/fastcv").expanduser() / "weights"


def cache_path(url: str, sha256: str | None = None) -> Path:
    """Where a URL's file is kept: its name with a tag, for two addresses may share a name."""
    name = PurePosixPath(unquote(urlsplit(url).path)).name or "weights"
    tag = (sha256 or _hash_in_name(url) or hashlib.sha256(url.encode()).hexdigest())[:8]
    stem, dot, suffix = name.rpartition(".")
    return cache_folder() / (name if tag in name else f"{stem or suffix}-{tag}{dot}{suffix}")


def download(url: str, sha256: str | None = None) -> Path:
    """The local copy of ``url``, downloaded unless it is there.

    An interrupted download goes on where it stopped, if the server can do that. Processes that
    want the same file wait for the one that fetches it.

    Args:
        url: http or https.
        sha256: the hash in hex, or its first digits; None: what the file's name says
            (``name-1a2b3c4d.pth``), or unchecked.

    Raises:
        ConnectionError: the server cannot be reached, or the connection broke.
        ValueError: the file is not the one that was published; it is removed.
    """
    target = cache_path(url, sha256)
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    with _lock(target.parent / ".lock"):
        if target.exists():
            return target
        try:
            _fetch(url, part)
        except urllib.error.HTTPError as error:
            raise ConnectionError(
                f"{url} answered {error.code} {error.reason}: {_elsewhere(target)}"
            ) from error
        except urllib.error.URLError as error:
            raise ConnectionError(
                f"could not reach {url} ({error.reason}): {_elsewhere(target)}"
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise ConnectionError(
                f"the download of {url} broke off ({error}): run it again and it goes on from "
                f"there, or {_elsewhere(target)}"
            ) from error
        _check(part, url, sha256 or _hash_in_name(url))
        os.replace(part, target)
    return target


def _elsewhere(target: Path) -> str:
    return f"download it elsewhere and pass weights=PATH, or put it at {target}"


def _hash_in_name(url: str) -> str | None:
    tag = re.search(r"-([0-9a-f]{8,64})\.\w+$", urlsplit(url).path)
    return tag.group(1) if tag else None


def _fetch(url: str, part: Path) -> None:
    """Brings ``part`` to its whole length."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "fastcv"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # range not satisfiable: what is there is not a beginning of it
            raise
        part.unlink()
        request.remove_header("Range")
        response = urllib.request.urlopen(request, timeout=TIMEOUT)
    with response:
        start = have if response.status == 206 else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        with (
            part.open("ab" if start else "wb") as file,
            tqdm(
                total=total, initial=start, unit="B", unit_scale=True, desc=part.stem, disable=None
            ) as bar,
        ):
            while chunk := response.read(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
            size = file.tell()
    if total is not None and size < total:
        raise OSError(f"{size} of {total} bytes came")


def _check(part: Path, url: str, sha256: str | None) -> None:
    if sha256 is None:
        return
    digest = hashlib.sha256()
    with part.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    found = digest.hexdigest()
    if not found.startswith(sha256.lower()):
        part.unlink()
        raise ValueError(
            f"{url} is not the file that was published: its sha256 is {found[: len(sha256)]}, "
            f"not {sha256}; what came was removed"
        )


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
