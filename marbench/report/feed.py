"""The published runs as an Atom feed (RFC 4287)."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as xml

from marbench.machine.text import counted
from marbench.report.site_state import Record

__all__ = ["atom"]

_NAMESPACE = "http://www.w3.org/2005/Atom"
# A feed must say when it changed; a site without a run has not changed yet.
_NEVER = "1970-01-01T00:00:00+00:00"


def atom(runs: Sequence[Record], url: str) -> bytes:
    """Return the runs, newest first, as a feed; links are absolute where the site's address is known."""
    base = f"{url.rstrip('/')}/" if url else ""
    feed = xml.Element("feed", xmlns=_NAMESPACE)
    _text(feed, "title", "marbench: published runs")
    # An id must stay the same wherever the site moves, and is all the same for sites without an address.
    _text(feed, "id", base or "urn:marbench:site")
    _text(feed, "updated", _instant(runs[0].published) if runs else _NEVER)
    xml.SubElement(feed, "link", rel="alternate", type="text/html", href=f"{base}index.html")
    xml.SubElement(feed, "link", rel="self", type="application/atom+xml", href=f"{base}feed.xml")
    _text(xml.SubElement(feed, "author"), "name", "marbench")
    for record in runs:
        _entry(feed, record, base)
    xml.indent(feed, " ")
    text: str = xml.tostring(feed, encoding="unicode")
    return f"<?xml version='1.0' encoding='utf-8'?>\n{text}\n".encode()


def _entry(feed: xml.Element, record: Record, base: str) -> None:
    names = [entry.title or entry.method for entry in record.entries]
    best = next((f" First: {entry.title or entry.method}." for entry in record.entries if entry.rank is not None), "")
    entry = xml.SubElement(feed, "entry")
    _text(entry, "title", f"{record.benchmark}: {', '.join(names)}")
    _text(entry, "id", f"urn:marbench:run:{record.id}")
    _text(entry, "updated", _instant(record.published))
    xml.SubElement(entry, "link", rel="alternate", type="text/html", href=f"{base}{record.path}")
    _text(entry, "summary", f"{counted(len(names), 'method')} on {counted(record.cases, 'case')}.{best}")


def _text(parent: xml.Element, name: str, text: str) -> None:
    xml.SubElement(parent, name).text = text


def _instant(published: str) -> str:
    """Return a date as Atom asks for it: with a time and a zone.

    >>> _instant("2026-01-02"), _instant("2026-01-02T10:00:00+00:00")
    ('2026-01-02T00:00:00+00:00', '2026-01-02T10:00:00+00:00')
    """
    return published if "T" in published else f"{published}T00:00:00+00:00"
