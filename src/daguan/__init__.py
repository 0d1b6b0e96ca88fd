"""Sequence labelling on anonymised text: from raw files to a checked submission and a model.

The names in `__all__` are the library; everything else is private and may change. A name is imported when it is first
used, so that `import daguan` stays quick: it loads neither torch nor pandas.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daguan.api.fitting import fit as fit
    from daguan.api.model import Model as Model
    from daguan.api.model import load as load
    from daguan.api.scoring import score as score
    from daguan.api.work import Study as Study
    from daguan.api.work import runs as runs
    from daguan.api.work import tune as tune
    from daguan.core.errors import DaguanError as DaguanError
    from daguan.core.types import Span as Span

__version__ = "0.1.0"
__all__ = ["DaguanError", "Model", "Span", "Study", "fit", "load", "runs", "score", "tune"]

_HOMES = {
    "DaguanError": "daguan.core.errors",
    "Model": "daguan.api.model",
    "Span": "daguan.core.types",
    "Study": "daguan.api.work",
    "fit": "daguan.api.fitting",
    "load": "daguan.api.model",
    "runs": "daguan.api.work",
    "score": "daguan.api.scoring",
    "tune": "daguan.api.work",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'daguan' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
