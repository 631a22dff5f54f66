"""HAProxy as the data plane's proxy: one process per environment."""
