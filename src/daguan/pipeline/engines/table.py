"""The table of engines, which run jobs. A new engine is one file in this folder and one row here."""

from __future__ import annotations

from daguan.core.tables import Row

ENGINES = {
    "local": Row("daguan.pipeline.engines.local:LocalEngine"),
    "ray": Row("daguan.pipeline.engines.ray_engine:RayEngine", ("address", "memory")),
}
