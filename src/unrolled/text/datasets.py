"""Texts that have a name: `nietzsche` and `tinyshakespeare` are fetched once, `python-docs` is always there.

Files are kept in the cache folder and checked against their SHA-256 at each use. Where they are fetched from is data:
set UNROLLED_MIRROR to a base URL that serves `nietzsche.txt` and `tinyshakespeare.txt` to fetch them from there.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unrolled.errors import InputError
from unrolled.text.sources import FileSource, Source, TextSource

PYTHON_DOCS = "python-docs"
MIRROR_VARIABLE = "UNROLLED_MIRROR"
CACHE_VARIABLE = "UNROLLED_CACHE"
TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Download:
    """A text on the web: where it is published, and what it must be."""

    url: str
    sha256: str


DOWNLOADS = {
    # Works of Friedrich Nietzsche, Project Gutenberg, public domain; the copy that Keras and fast.ai teach with.
    "nietzsche": Download(
        "https://s3.amazonaws.com/text-datasets/nietzsche.txt",
        "23cf69874ab69d3d256099ab530ea4be24d47d9675b673bcc67cbcd6298ec647",
    ),
    # Plays of William Shakespeare, public domain; from char-rnn.
    "tinyshakespeare": Download(
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
}
NAMES = (*DOWNLOADS, PYTHON_DOCS)


def cache_folder() -> Path:
    """The folder of everything that can be fetched or computed again: UNROLLED_CACHE, else the system's usual place."""
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        return Path(given)
    import pooch

    return Path(pooch.os_cache("unrolled"))


def named_source(name: str, *, mirror: str | None = None, cache: Path | None = None) -> Source:
    """The data set `name`, one of `NAMES`."""
    if name == PYTHON_DOCS:
        return TextSource(PYTHON_DOCS, python_docs())
    return FileSource(fetch(name, mirror=mirror, cache=cache), name, "utf-8")


def python_docs() -> str:
    """The language reference that comes with Python, its topics in the order of their names.

    The text is that of the Python it runs in: it is the same on every machine with that version, and differs a little
    between versions, so figures on it name the version.
    """
    from pydoc_data.topics import topics

    return "\n".join(text.strip("\n") + "\n" for _, text in sorted(topics.items()))


def fetch(name: str, *, mirror: str | None = None, cache: Path | None = None) -> Path:
    """The path of a downloaded text, fetched into `cache` if it is not there or not whole.

    `mirror` is a base URL to use instead of UNROLLED_MIRROR or the published address. Raises InputError when it cannot
    be fetched or is not the text it should be.
    """
    from http.client import HTTPException

    import pooch

    download = DOWNLOADS[name]
    base = mirror or os.environ.get(MIRROR_VARIABLE)
    url = f"{base.rstrip('/')}/{name}.txt" if base else download.url
    folder = cache or cache_folder()
    try:
        given = {"fname": f"{name}.txt", "path": folder, "downloader": _download}
        return Path(pooch.retrieve(url, f"sha256:{download.sha256}", **given))
    except ValueError as error:  # pooch: the hash does not match; the file it had is left as it was
        raise InputError(f"what {url} gives is not the text {name!r}: {error}") from None
    except (OSError, HTTPException) as error:
        raise InputError(
            f"{name!r} could not be fetched from {url} ({_reason(error)}): check the connection, set {MIRROR_VARIABLE} "
            f"to another base URL, put the file at {folder / f'{name}.txt'}, or use {PYTHON_DOCS!r}, which needs none"
        ) from None


def _download(url: str, output: str, _: Any) -> None:
    """What pooch calls to fetch a file; its own way leaves connections open after an error."""
    from urllib.error import HTTPError  # here, as it takes a tenth of a second that most commands need not spend
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=TIMEOUT_SECONDS) as response, open(output, "wb") as file:
            shutil.copyfileobj(response, file)
    except HTTPError as error:
        error.close()
        raise


def _reason(error: Exception) -> str:
    inner = getattr(error, "reason", None) or error  # urllib wraps what the system said
    return getattr(inner, "strerror", None) or f"{inner}" or type(inner).__name__
