"""How traffic moves: one file per strategy, listed in `table.py`."""
