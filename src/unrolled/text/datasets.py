"""Named texts: `nietzsche` and `tinyshakespeare` are downloaded once, `python-docs` comes with Python.

Files are kept in the cache folder and checked against their SHA-256 at each use. Set UNROLLED_MIRROR to a base URL that
serves `nietzsche.txt` and `tinyshakespeare.txt` to download them from there.
"""

from __future__ import annotations

import os
from pathlib import Path

from unrolled.errors import InputError
from unrolled.files import sha256, write_file
from unrolled.text.cache import cache_folder
from unrolled.text.sources import FileSource, Source, TextSource

PYTHON_DOCS = "python-docs"
MIRROR_VARIABLE = "UNROLLED_MIRROR"
TIMEOUT_SECONDS = 30
LARGEST_DOWNLOAD = 16 << 20


DOWNLOADS = {
    # Works of Friedrich Nietzsche, Project Gutenberg, public domain; the copy that Keras and fast.ai teach with.
    "nietzsche": (
        "https://s3.amazonaws.com/text-datasets/nietzsche.txt",
        "23cf69874ab69d3d256099ab530ea4be24d47d9675b673bcc67cbcd6298ec647",
    ),
    # Plays of William Shakespeare, public domain; from char-rnn.
    "tinyshakespeare": (
        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
}
"""The URL and the SHA-256 of each text on the web."""
NAMES = (*DOWNLOADS, PYTHON_DOCS)


def named_source(name: str) -> Source:
    """The data set `name`, one of `NAMES`."""
    if name == PYTHON_DOCS:
        return TextSource(PYTHON_DOCS, python_docs())
    return FileSource(fetch(name), name, "utf-8")


def python_docs() -> str:
    """The language reference that comes with Python, its topics in the order of their names.

    The text is the same on every machine with the same Python version, and differs slightly between versions, so
    figures measured on it should name the version.
    """
    from pydoc_data.topics import topics

    return "\n".join(text.strip("\n") + "\n" for _, text in sorted(topics.items()))


def fetch(name: str) -> Path:
    """The path of a downloaded text, which is downloaded into the cache if it is missing or damaged.

    Raises InputError if the download fails or its SHA-256 differs.
    """
    from http.client import HTTPException

    url, expected = DOWNLOADS[name]
    if base := os.environ.get(MIRROR_VARIABLE):
        url = f"{base.rstrip('/')}/{name}.txt"
    path = cache_folder() / f"{name}.txt"
    if path.is_file() and sha256(path.read_bytes()) == expected:
        return path
    try:
        content = _download(url)
    except (OSError, HTTPException, ValueError) as error:  # a ValueError for what is no URL
        raise InputError(
            f"{name!r} could not be downloaded from {url} ({_reason(error)}): check the connection, set "
            f"{MIRROR_VARIABLE} to another base URL, put the file at {path}, "
            f"or use {PYTHON_DOCS!r}, which needs none"
        ) from None
    if (found := sha256(content)) != expected:
        raise InputError(f"{url} is not the text {name!r}: its SHA-256 is {found}, not {expected}")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, content)
    return path


def _download(url: str) -> bytes:
    from urllib.error import HTTPError  # imported here, since it takes a tenth of a second
    from urllib.request import urlopen

    try:
        with urlopen(url, timeout=TIMEOUT_SECONDS) as response:
            content: bytes = response.read(LARGEST_DOWNLOAD)
            return content
    except HTTPError as error:
        error.close()
        raise


def _reason(error: Exception) -> str:
    inner = getattr(error, "reason", None) or error  # urllib wraps what the system said
    return getattr(inner, "strerror", None) or f"{inner}" or type(inner).__name__
