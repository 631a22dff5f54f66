"""Decides whether a judged plan may be carried out. One file per policy, one row in `table`."""
