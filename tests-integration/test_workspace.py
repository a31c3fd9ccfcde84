"""Every list that is kept by hand, compared with the folders; and the namespace stays empty."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

import ophamin

try:
    import tomllib
except ImportError:  # pragma: no cover - the workspace needs 3.11
    pytest.skip("needs Python 3.11", allow_module_level=True)


def _toml(path: Path) -> dict[str, Any]:
    return tomllib.loads(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def packages(root: Path) -> dict[str, Path]:
    """Distribution → folder."""
    return {p.parent.name: p.parent for p in (root / "packages").glob("*/pyproject.toml")}


def _rooms(packages: dict[str, Path]) -> set[str]:
    return {
        f"ophamin.{room.name}"
        for folder in packages.values()
        for room in (folder / "src/ophamin").iterdir()
        if (room / "__init__.py").is_file()
    }


def test_nothing_lies_in_the_namespace(packages: dict[str, Path]) -> None:
    assert ophamin.__file__ is None
    for folder in packages.values():
        assert [p.name for p in (folder / "src/ophamin").iterdir() if p.is_file()] == []


def test_every_room_is_typed_and_owned_once(packages: dict[str, Path]) -> None:
    owners: dict[str, str] = {}
    for name, folder in packages.items():
        for room in (folder / "src/ophamin").iterdir():
            if room.name == "__pycache__" or not any(room.rglob("*.py")):
                continue
            assert owners.setdefault(room.name, name) == name
            assert (room / "py.typed").is_file(), room


def test_sources_mypy_path_and_import_contract_name_every_folder(root: Path, packages: dict[str, Path]) -> None:
    workspace = _toml(root / "pyproject.toml")
    assert set(workspace["tool"]["uv"]["sources"]) == set(packages)
    assert set(workspace["tool"]["mypy"]["mypy_path"]) == {f"packages/{p}/src" for p in packages}
    assert set(workspace["tool"]["importlinter"]["root_packages"]) == _rooms(packages)


def test_make_names_every_wheel_and_room(root: Path, packages: dict[str, Path]) -> None:
    makefile = (root / "Makefile").read_text(encoding="utf-8")
    wheels = re.search(r"^WHEELS := (.+)$", makefile, re.MULTILINE)
    rooms = re.search(r"^ROOMS := (.+)$", makefile, re.MULTILINE)
    assert wheels
    assert rooms
    assert set(wheels[1].split()) == set(packages)
    assert {f"ophamin.{r}" for r in rooms[1].split()} == _rooms(packages)


def test_meta_pins_every_wheel_at_its_version(packages: dict[str, Path]) -> None:
    extras = _toml(packages["ophamin"] / "pyproject.toml")["project"]["optional-dependencies"]
    pins = {}
    for requirement in extras["all"]:
        if requirement in extras["config"]:
            continue
        match = re.fullmatch(r"([a-z-]+)(?:\[[a-z,]+\])?==(\S+)", requirement)
        assert match, requirement
        pins[match[1]] = match[2]
    for name, folder in packages.items():
        if name in ("ophamin", "ophamin-core"):
            continue
        project = _toml(folder / "pyproject.toml")["project"]
        assert pins.pop(name) == project["version"]
        assert name.removeprefix("ophamin-") in extras
        assert "ophamin-core>=0.1,<0.2" in project["dependencies"]
    assert pins == {}


def test_wheels_hold_only_their_rooms(wheels: Path, packages: dict[str, Path]) -> None:
    for name, folder in packages.items():
        (wheel,) = wheels.glob(f"{name.replace('-', '_')}-0*.whl")
        mine = {r.name for r in (folder / "src/ophamin").iterdir() if r.is_dir()}
        for member in zipfile.ZipFile(wheel).namelist():
            top, _, rest = member.partition("/")
            if top.endswith(".dist-info"):
                continue
            assert top == "ophamin", member
            assert rest.partition("/")[0] in mine, member
            assert not member.endswith(".pyc")


def test_command_table_is_what_the_wheels_announce(wheels: Path) -> None:
    """`--help` lists a missing wheel's command from this table."""
    import configparser

    from ophamin.cli._generate import table
    from ophamin.cli._table import COMMANDS

    announced = {}
    for wheel in wheels.glob("ophamin*.whl"):
        archive = zipfile.ZipFile(wheel)
        for member in archive.namelist():
            if member.endswith("entry_points.txt"):
                parser = configparser.ConfigParser(delimiters=("=",))
                parser.optionxform = str  # type: ignore[assignment,method-assign]
                parser.read_string(archive.read(member).decode())
                if parser.has_section("ophamin.commands"):
                    distribution = wheel.name.partition("-")[0].replace("_", "-")
                    announced.update(dict.fromkeys(parser["ophamin.commands"], distribution))
    assert {name: distribution for name, (distribution, _) in COMMANDS.items()} == announced
    assert table() == COMMANDS, "run `python -m ophamin.cli._generate`"
