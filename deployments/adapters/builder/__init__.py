"""Releases: sources resolved to content, built once, kept by digest."""

from deployments.adapters.builder.builder import LocalBuilder

__all__ = ["LocalBuilder"]
