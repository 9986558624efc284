"""Null models and significance."""
