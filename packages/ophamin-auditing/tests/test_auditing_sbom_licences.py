from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.licenses import canonicalize_license_expression

from ophamin.auditing.sbom.licences import CLASSIFIERS, WORDS, Licence, from_metadata, recognise

MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy\nof this software and associated documentation files"
BSD = "Redistribution and use in source and binary forms, with or without modification"


def test_every_identifier_in_the_tables_is_one_of_spdx():
    for name in {*CLASSIFIERS.values(), *WORDS.values()} - {""}:
        assert canonicalize_license_expression(name) == name


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (MIT, "MIT"), (BSD, "BSD-2-Clause"), (BSD + " … Neither the name of X", "BSD-3-Clause"),
        ("Apache License\n   Version 2.0, January 2004", "Apache-2.0"),
        ("Mozilla Public License Version 2.0 … GNU Lesser General Public License", "MPL-2.0"),
        ("GNU GENERAL PUBLIC LICENSE Version 3", ""), (MIT + BSD, ""), ("All rights reserved.", ""), ("", ""),
    ],
)  # fmt: skip
def test_a_text_names_its_licence_only_when_it_is_one(words, name):
    assert recognise(words) == name


@pytest.mark.parametrize(
    ("stated", "free", "classifiers", "found"),
    [
        ("Apache-2.0 WITH LLVM-exception", "GPL", ["License :: OSI Approved :: MIT License"], [("Apache-2.0 WITH LLVM-exception", "expression")]),
        ("", "BSD-3-Clause", ["License :: OSI Approved :: BSD License"], [("BSD-3-Clause", "id")]),
        ("", "New BSD", [], [("BSD-3-Clause", "id")]),
        ("", "BSD", ["License :: OSI Approved :: MIT License", "License :: OSI Approved :: The Unlicense (Unlicense)"], [("MIT", "id"), ("Unlicense", "id")]),
        ("", "", ["License :: OSI Approved :: MIT License", "License :: Other/Proprietary License"], [("MIT", "id"), ("Other/Proprietary License", "name")]),
        ("", MIT, [], [("MIT", "id")]),
        ("", "My own terms\nline two", [], [("My own terms", "name")]),
        ("", "", ["License :: OSI Approved", "Programming Language :: Python"], []),
        ("LicenseRef-Mine", "", [], [("LicenseRef-Mine", "expression")]),
    ],
)  # fmt: skip
def test_the_surest_statement_counts(stated, free, classifiers, found):
    assert [(one.value, one.form) for one in from_metadata(stated, free, classifiers)] == found


BSD_LICENSE = "License :: OSI Approved :: BSD License"
APACHE = "License :: OSI Approved :: Apache Software License"


@pytest.mark.parametrize(
    ("classifiers", "texts", "found"),
    [
        ([BSD_LICENSE], [BSD], [Licence("BSD-2-Clause", "id", "concluded")]),
        ([], [MIT, "NOTICE"], [Licence("MIT", "id", "concluded")]),
        ([BSD_LICENSE], [BSD, MIT], [Licence("BSD License", "name")]),
        ([APACHE, BSD_LICENSE], [BSD], [Licence("Apache Software License", "name"), Licence("BSD License", "name")]),
        ([], [BSD, MIT], []),
    ],
)
def test_one_text_of_several_is_not_taken_for_the_licence(classifiers, texts, found):
    assert list(from_metadata("", "", classifiers, texts)) == found


@given(st.text(), st.text(), st.lists(st.text()))
def test_whatever_is_stated_gives_licences_with_a_name(stated, free, classifiers):
    for one in from_metadata(stated, free, classifiers):
        assert isinstance(one, Licence)
        assert one.form in ("id", "expression", "name")
        assert len(one.value) <= 120 or one.form != "name"
