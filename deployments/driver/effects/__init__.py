"""One function per kind of action, listed in `table.py`: look, make what is missing, read back, return a receipt."""
