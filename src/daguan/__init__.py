"""Sequence labelling on text nobody can read: from anonymised tokens to a checked submission."""

__version__ = "0.1.0"
