"""The table of claims. A new claim is one file in this folder and one row here."""

from __future__ import annotations

from daguan.core.tables import Row

CLAIMS: dict[str, Row] = {}
