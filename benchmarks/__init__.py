"""Side-by-side measurements, one command a table: `python -m benchmarks.TABLE [--json] [--quick]` from the root."""
