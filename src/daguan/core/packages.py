"""The packages that daguan needs, with the versions that are there and those that it supports."""

from __future__ import annotations

import platform
import tomllib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

PROJECT = Path(__file__).parents[3] / "pyproject.toml"  # where this is a copy of the repository
PYTHON = "python"


@dataclass(frozen=True)
class Package:
    """A package, or Python itself.

    Attributes:
        version: the one that is there; empty for none.
        supported: a range, as pip reads it.
    """

    name: str
    version: str
    supported: str

    @property
    def fits(self) -> bool:
        return bool(self.version) and SpecifierSet(self.supported).contains(self.version, prereleases=True)

    @property
    def fault(self) -> str:
        """What is wrong, and what to do."""
        remedy = "use another Python" if self.name == PYTHON else f"run: pip install '{self.name}{self.supported}'"
        return f"{self.name}: expected a version {self.supported}, got {self.version or 'none'}; {remedy}"


def needed_packages() -> list[Package]:
    """Returns Python, and each package that is needed whatever is asked for."""
    python, requirements = _declared()
    found = [Package(PYTHON, platform.python_version(), python)]
    for requirement in map(Requirement, requirements):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            found.append(Package(requirement.name, _version(requirement.name), str(requirement.specifier)))
    return found


def _declared() -> tuple[str, list[str]]:
    """Returns the versions of Python and the requirements that the project declares."""
    if PROJECT.is_file():
        project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
        return project["requires-python"], project["dependencies"]
    return metadata.metadata("daguan")["Requires-Python"], metadata.requires("daguan") or []


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
