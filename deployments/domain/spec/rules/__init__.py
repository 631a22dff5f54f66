"""Rules that hold between the fields of a specification. One theme per file, one row per rule in `table`."""
