"""python scripts/run_notebook.py NOTEBOOK: run all cells in the current folder; fails where a cell does."""

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

began = time.monotonic()
notebook = nbformat.read(Path(sys.argv[1]), as_version=4)
NotebookClient(notebook, timeout=900, kernel_name="python3").execute()
print(f"{sys.argv[1]}: {len(notebook.cells)} cells in {time.monotonic() - began:.0f} s")
