"""Joins between models: which units answer alike, which circuits come back, and what chance would give."""
