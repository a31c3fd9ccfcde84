from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import ophamin.comparing as room

README = Path(__file__).parents[1] / "README.md"
MODULES = [m.name for m in pkgutil.walk_packages(room.__path__, "ophamin.comparing.")]


def test_the_example_of_the_readme_prints_what_it_says(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(code, str(README), "exec"), {})
    for line in capsys.readouterr().out.splitlines():
        assert f"# {line}" in code


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name):
    try:
        module = importlib.import_module(name)
    except ImportError as error:  # what wraps a library is imported on use; make test has every extra
        outside = getattr(error, "package", None) or error.name or ""
        if outside.startswith("ophamin"):
            raise
        pytest.skip(f"needs an extra: {outside}")
    failed, _ = doctest.testmod(module)
    assert failed == 0
