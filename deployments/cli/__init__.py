"""Talks to people in a terminal. One verb per file in `verbs/`; a verb pays for the imports it needs when it runs."""
