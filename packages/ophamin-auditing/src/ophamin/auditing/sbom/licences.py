"""Licences as SPDX names: stated, mapped from classifiers and common words, or recognised from their text.

SPDX License List, https://spdx.org/licenses/; PEP 639 for ``License-Expression``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

__all__ = ["Licence", "expression", "from_metadata", "recognise"]

LONGEST_NAME = 120
CLASSIFIER = "License :: "

CLASSIFIERS = {
    "Academic Free License (AFL)": "", "Apache Software License": "", "BSD License": "",
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "Eclipse Public License 1.0 (EPL-1.0)": "EPL-1.0", "Eclipse Public License 2.0 (EPL-2.0)": "EPL-2.0",
    "European Union Public Licence 1.2 (EUPL 1.2)": "EUPL-1.2",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 (LGPLv2)": "LGPL-2.0-only",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "ISC License (ISCL)": "ISC", "MIT License": "MIT", "MIT No Attribution License (MIT-0)": "MIT-0",
    "Mozilla Public License 1.1 (MPL 1.1)": "MPL-1.1", "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "The Unlicense (Unlicense)": "Unlicense", "Universal Permissive License (UPL)": "UPL-1.0",
    "Zero-Clause BSD (0BSD)": "0BSD", "zlib/libpng License": "Zlib",
}  # fmt: skip
"""Classifier → SPDX identifier; those that name a family rather than one licence map to nothing."""

WORDS = {
    "apache 2": "Apache-2.0", "apache 2.0": "Apache-2.0", "apache license 2.0": "Apache-2.0",
    "apache license version 2.0": "Apache-2.0", "apache license v2.0": "Apache-2.0",
    "apache software license 2.0": "Apache-2.0", "apache-2": "Apache-2.0",
    "mit license": "MIT", "the mit license": "MIT", "expat": "MIT", "the mit license (mit)": "MIT",
    "bsd 3-clause": "BSD-3-Clause", "bsd 3-clause license": "BSD-3-Clause", "3-clause bsd": "BSD-3-Clause",
    "3-clause bsd license": "BSD-3-Clause", "bsd-3": "BSD-3-Clause", "new bsd": "BSD-3-Clause",
    "new bsd license": "BSD-3-Clause", "modified bsd": "BSD-3-Clause", "modified bsd license": "BSD-3-Clause",
    "bsd 3 clause": "BSD-3-Clause", "bsd-3-clause license": "BSD-3-Clause",
    "bsd 2-clause": "BSD-2-Clause", "bsd 2-clause license": "BSD-2-Clause", "2-clause bsd": "BSD-2-Clause",
    "simplified bsd": "BSD-2-Clause", "bsd-2": "BSD-2-Clause",
    "mpl 2.0": "MPL-2.0", "mpl-2": "MPL-2.0", "mozilla public license 2.0": "MPL-2.0",
    "isc license": "ISC", "the unlicense": "Unlicense", "public domain cc0": "CC0-1.0", "zlib license": "Zlib",
    "lgplv3+": "LGPL-3.0-or-later", "lgplv2+": "LGPL-2.0-or-later", "gplv3+": "GPL-3.0-or-later",
    "gplv2+": "GPL-2.0-or-later", "psf-2.0": "PSF-2.0",
}  # fmt: skip
"""What people write in ``License`` → SPDX identifier; words that could mean two licences are not here."""

_SENTENCES = {
    "MIT": r"permission is hereby granted, free of charge, to any person obtaining a copy of this software and",
    "Apache-2.0": r"apache license,? version 2\.0(?:, january 2004)?",
    "ISC": r"permission to use, copy, modify, and(?:/or)? distribute this software for any purpose with or without fee",
    "MPL-2.0": r"mozilla public license,? (?:version|v\.) ?2\.0",
    "PSF-2.0": r"python software foundation license version 2",
    "Unlicense": r"this is free and unencumbered software released into the public domain",
    "GPL": r"gnu (?:lesser |library |affero )?general public license",
}
_BSD = "redistribution and use in source and binary forms"
_THIRD_CLAUSE = ("neither the name", "may not be used to endorse", "used to endorse or promote")


@dataclass(frozen=True, order=True)
class Licence:
    """One licence of a package.

    Args:
        value: SPDX identifier or expression, or the licence's name where SPDX has none.
        form: ``id``, ``expression`` or ``name``.
        acknowledgement: ``declared`` by its authors, or ``concluded`` by us from the text they ship.
    """

    value: str
    form: str = "id"
    acknowledgement: str = "declared"


def expression(words: str) -> Licence | None:
    """A valid SPDX expression in its canonical spelling, else ``None``.

    Example:
        >>> expression("mit"), expression("mit or apache-2.0").value, expression("BSD")
        (Licence(value='MIT', form='id', acknowledgement='declared'), 'MIT OR Apache-2.0', None)
    """
    try:
        spelled = str(canonicalize_license_expression(words))
    except (InvalidLicenseExpression, RecursionError, MemoryError):
        return None
    simple = re.fullmatch(r"[A-Za-z0-9.-]+", spelled) and not spelled.startswith("LicenseRef-")
    return Licence(spelled, "id" if simple else "expression")


def recognise(words: str) -> str:
    """The SPDX identifier of a licence's full text; "" when it is none, or more than one, of the common ones.

    Example:
        >>> recognise("Apache License\\n  Version 2.0, January 2004"), recognise("All rights reserved")
        ('Apache-2.0', '')
    """
    flat = " ".join(words.lower().replace("*", " ").replace("#", " ").split())
    found = {name for name, sentence in _SENTENCES.items() if re.search(sentence, flat)}
    if _BSD in flat:
        found.add("BSD-3-Clause" if any(clause in flat for clause in _THIRD_CLAUSE) else "BSD-2-Clause")
    found -= {"GPL"} if found == {"MPL-2.0", "GPL"} else set()  # the MPL names the GPL as a secondary licence
    # GPL: the text alone does not say whether later versions are allowed.
    return found.pop() if len(found) == 1 and "GPL" not in found else ""


def from_metadata(stated: str, free: str, classifiers: Sequence[str], texts: Sequence[str] = ()) -> tuple[Licence, ...]:
    """The licences of a distribution, the surest statement first.

    Args:
        stated: ``License-Expression``.
        free: ``License``, a word or a whole text.
        classifiers: All classifiers.
        texts: Texts of the licence files it ships; looked at only when the rest names no single licence.

    Returns:
        One expression or identifier, or several identifiers and names; empty when nothing is known.
    """
    if stated:
        return (expression(stated) or Licence(_short(stated), "name"),)
    free = "" if free.strip().upper() in ("UNKNOWN", "NONE", "") else free.strip()
    word = " ".join(free.lower().replace(",", " ").split())
    if free and (known := expression(free) if len(free) <= LONGEST_NAME else None):
        return (known,)
    if word in WORDS:
        return (Licence(WORDS[word]),)
    leaves = [c.rpartition(" :: ")[2] for c in classifiers if c.startswith(CLASSIFIER)]
    leaves = [leaf for leaf in dict.fromkeys(leaves) if leaf != "OSI Approved"]
    mapped = [CLASSIFIERS.get(leaf, "") for leaf in leaves]
    if mapped and all(mapped):
        return tuple(sorted(Licence(name) for name in mapped))
    if name := recognise(free):
        return (Licence(name),)
    # Two texts, or two classifiers, may be a choice or may be of parts: then no single text is the licence.
    recognised = {recognise(written) for written in texts} - {""}
    if len(recognised) == 1 and len(leaves) < 2:
        return (Licence(recognised.pop(), "id", "concluded"),)
    if leaves:
        return tuple(
            sorted(Licence(name or leaf, "id" if name else "name") for name, leaf in zip(mapped, leaves, strict=True))
        )
    return (Licence(_short(free), "name"),) if free else ()


def _short(words: str) -> str:
    first = next((line.strip() for line in words.splitlines() if line.strip()), "")
    return first if len(first) <= LONGEST_NAME else first[: LONGEST_NAME - 1] + "…"
