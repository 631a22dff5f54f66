"""Counts requests per service and revision, from the proxy's log, in a process that outlives controllers."""
