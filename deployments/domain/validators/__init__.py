"""Judges a specification against facts before anything is touched. One file per rule, one row in `table`."""
