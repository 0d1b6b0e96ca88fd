"""The table of metrics: functions from an annotated line to the items that F1 compares.

A new metric is one file in this folder and one row here (docs/extending.md).
"""

from __future__ import annotations

from daguan.core.tables import Row

METRICS = {
    "span": Row("daguan.data.span_score:span_items"),
    "contest": Row("daguan.data.scores:contest_items"),
}
