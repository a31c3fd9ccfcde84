"""PROV documents in the forms of W3C PROV, written and read by the ``prov`` library.

Sources: PROV-DM, PROV-N and PROV-O (W3C Recommendations, 2013); PROV-JSON (W3C Member Submission, 2013); PROV-JSONLD
(Moreau and Huynh, 2020), which is RDF in the terms of PROV-O.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from prov.model import ProvDocument, ProvWarning

from ophamin.proof.errors import MissingDependency, RecordError, UsageError

__all__ = ["FORMATS", "MEDIA_TYPES", "document_of", "read", "write"]

JSON = Any

MEDIA_TYPES = {
    "json": "application/json",
    "provn": "text/provenance-notation",
    "jsonld": "application/ld+json",
    "turtle": "text/turtle",
    "xml": "application/provenance+xml",
}
FORMATS = tuple(MEDIA_TYPES)
"""``json`` and ``provn`` as W3C has them, ``jsonld`` and ``turtle`` for RDF (PROV-O), ``xml`` for PROV-XML."""

# format → what ``prov`` calls it, the library it needs, and the extra that brings that.
_NEEDS = {"turtle": ("rdflib", "ophamin-comparing[rdf]"), "xml": ("lxml", "ophamin-comparing[xml]")}


def document_of(graph: Mapping[str, JSON]) -> ProvDocument:
    """A graph as a document of the ``prov`` library.

    Args:
        graph: PROV-JSON as plain values.

    Raises:
        RecordError: ``prov`` does not read it, or would not read all of it.

    Example:
        >>> document = document_of({"prefix": {"oph": "urn:ophamin:"}, "entity": {"oph:a": {}}})
        >>> len(list(document.get_records()))
        1
    """
    return _read(json.dumps(graph), "json")


def write(graph: Mapping[str, JSON], format_: str) -> bytes:
    """A graph in one of ``FORMATS``.

    Args:
        graph: PROV-JSON as plain values.
        format_: Name of the format.

    Returns:
        Text in UTF-8, with a newline at its end.

    Raises:
        UsageError: No such format.
        MissingDependency: The format needs a library that is not installed.
        RecordError: It is no PROV-JSON.
    """
    options = _options(format_)
    document = document_of(graph)
    with _quiet():
        text = document.serialize(**options)
    assert isinstance(text, str)  # without a destination it returns text
    return text.rstrip("\n").encode("utf-8") + b"\n"


def read(data: bytes, format_: str) -> ProvDocument:
    """Read back what ``write`` wrote, or another tool.

    Raises:
        UsageError: No such format.
        MissingDependency: The format needs a library that is not installed.
        RecordError: It is no document of that format.
    """
    return _read(data.decode("utf-8", "replace"), **_options(format_))


def _options(format_: str) -> dict[str, str]:
    if format_ not in MEDIA_TYPES:
        raise UsageError(f"no PROV format is called {format_!r}; formats: {', '.join(FORMATS)}")
    if format_ in _NEEDS:
        package, install = _NEEDS[format_]
        if importlib.util.find_spec(package) is None:
            raise MissingDependency(f"PROV as {format_}", package, install)
    return {"format": "rdf", "rdf_format": "turtle"} if format_ == "turtle" else {"format": format_}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what rdflib deprecates in itself, which is prov's to follow."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"(rdflib|prov)\b")
        yield


def _read(text: str, format: str, **options: str) -> ProvDocument:
    try:
        with _quiet():
            # prov drops what it cannot read and warns; a document that lost something is not the document.
            warnings.simplefilter("error", ProvWarning)
            document: ProvDocument = ProvDocument.deserialize(content=text, format=format, **options)
    except Exception as error:  # prov and its parsers raise many kinds, all because of the text
        raise RecordError(f"prov does not read it as {format}: {error or type(error).__name__}") from error
    return document
