"""Text that came from a plugin or a file, made fit to be printed, stored and published.

Results are made to be shown to others. So what enters a row, a page or the terminal names no folder of this machine
(a folder's name may be a patient's), and holds nothing that a terminal or a browser would act upon.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

__all__ = ["clean", "clean_line", "counted", "few", "said_by"]

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# CSI and OSC sequences whole (ECMA-48), so that no remains of them are left as text.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])")
# Of a path the last part stays. An absolute path is one wherever it begins; backslashes make one only after a drive or
# a host, since elsewhere they are escapes. Within quotes blanks belong to a path, without them they end it. A colon may
# stand before it, as after a host or in a list of folders; with // behind it, it belongs to the address of a page.
_START = r"""(?:file:(?=/)|~[\w.-]*(?=/)|\$\{?\w+\}?(?=[/\\])|[A-Za-z]:(?=[/\\])|\.{1,2}(?=/)|(?=/)|(?=\\\\\w))"""
_QUOTED = re.compile(rf"""(?P<quote>["'`])(?P<path>{_START}[/\\][^"'`\n]*)(?P=quote)""")
_BARE = re.compile(rf"""(?<![\w./\\<])(?:(?<!:)|(?!//)){_START}(?:[/\\]+[^\s/\\:;,"'`<>()\[\]{{}}|]+)+[/\\]?""")
# A relative path is recognised by its folders and the suffix of its file: "3/4" and "HU/cm" are none. Digits after a
# colon are a port, a time or a DOI. Nothing begins within a name: a long one would be read again from each character.
_RELATIVE = re.compile(
    r"""(?<![\w./\\<~@+-])(?:(?<!:)|(?!\d+[./]))[\w.@+-]+(?:/[\w.@+-]+)*/(?P<name>[\w.@+-]+\.\w{1,12})(?![\w/])"""
)


def clean(text: str, limit: int | None = None) -> str:
    """Return text without machine paths, terminal escapes and what is no character to print.

    That is: control characters, bidi marks, lone surrogates and the code points that Unicode keeps free for ever.

    Of a path the last part stays: ``/home/jane/doe_1975/atlas.npy`` becomes ``atlas.npy``. Line breaks and tabs stay.

    Parameters
    ----------
    text : str
    limit : int, optional
        Characters to keep at most.

    Examples
    --------
    >>> clean("No such file: '/data/DOE_JANE/atlas.npy'")
    "No such file: 'atlas.npy'"
    >>> clean("12 HU/cm at 3/4 of \\x1b[31mthe range\\x1b[0m")
    '12 HU/cm at 3/4 of the range'
    """
    text = "".join(_printable(character) for character in _ESCAPES.sub("", text))
    text = _QUOTED.sub(lambda match: match["quote"] + _last(match["path"]) + match["quote"], text)
    text = _BARE.sub(lambda match: _last(match[0]), text)
    text = _RELATIVE.sub(lambda match: match["name"], text)
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    return text


def clean_line(text: str, limit: int | None = None) -> str:
    """Return `clean` text on one line."""
    return clean(" ".join(text.split()), limit)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 case``, ``2 cases``."""
    return f"{number} {noun}{'s' if number != 1 else ''}"


def few(names: Sequence[object], most: int) -> str:
    """Return the first of some names, and whether there are more.

    >>> few(["lung", "liver", "hip"], 2)
    'lung, liver …'
    """
    return f"{', '.join(map(str, names[:most]))}{' …' if len(names) > most else ''}"


def said_by(error: BaseException) -> str:
    """Return why something failed: what the system says without the file, or the error, or at least its class."""
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__


def _last(path: str) -> str:
    """Return the last part of a path, whatever separates its parts."""
    parts = [part for part in re.split(r"[/\\]+", path) if part]
    return parts[-1] if parts else path


def _printable(character: str) -> str:
    # Cc: control, Cs: lone surrogates, Cf: bidi overrides, zero-width joiners and the like.
    if character in "\n\t":
        return character
    unprintable = unicodedata.category(character) in ("Cc", "Cs", "Cf") or _is_noncharacter(ord(character))
    return _REPLACEMENT if unprintable else character


def _is_noncharacter(code: int) -> bool:
    # Unicode 16, 23.7. XML has no way to write U+FFFE and U+FFFF: a feed that held one could not be read.
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF
