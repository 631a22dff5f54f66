"""One verb per file. A new one is a file here and a row in `table.py`."""
