"""Naming things on the command line: ``NAME[:ARG][?key=value&…]``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from ophamin.proof.errors import UsageError

__all__ = ["Spec"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_QUERY = re.compile(r"\?(?=[A-Za-z_][\w.-]*=)")


@dataclass(frozen=True)
class Spec:
    """One parsed spec.

    Args:
        name: Plug-in name.
        arg: What follows the first colon, verbatim, "" when absent.
        params: Query parameters, percent-decoded.

    Example:
        >>> Spec.parse("table:rows.csv?text=prompt&label=y")
        Spec(name='table', arg='rows.csv', params={'text': 'prompt', 'label': 'y'})
        >>> Spec.parse("python:pkg.mod:func").arg
        'pkg.mod:func'
    """

    name: str
    arg: str = ""
    params: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Spec:
        """Parse a spec; a ``?`` begins the parameters only when ``key=`` follows it.

        Raises:
            UsageError: No name, an empty or a repeated key.
        """
        match = _NAME.match(text)
        if not match:
            raise UsageError(f"{text!r} is not NAME[:ARG][?key=value&…], such as mock or table:rows.csv?text=prompt")
        name, rest = match.group(), text[match.end() :]
        query = ""
        begin = list(_QUERY.finditer(rest))
        if begin:
            rest, query = rest[: begin[0].start()], rest[begin[0].end() :]
        if rest and not rest.startswith(":"):
            raise UsageError(f"{text!r}: after the name {name!r} comes ':' or '?key=value', not {rest[:12]!r}")
        params: dict[str, str] = {}
        if query:
            from urllib.parse import unquote_plus

            for pair in query.split("&"):
                key, equals, value = pair.partition("=")
                if not equals or not key:
                    raise UsageError(f"{text!r}: {pair!r} is not key=value")
                if key in params:
                    raise UsageError(f"{text!r}: {key!r} is given twice")
                params[key] = unquote_plus(value)
        return cls(name, rest[1:], params)

    def __str__(self) -> str:
        from urllib.parse import quote_plus

        query = "&".join(f"{k}={quote_plus(v)}" for k, v in self.params.items())
        return f"{self.name}{':' + self.arg if self.arg else ''}{'?' + query if query else ''}"
