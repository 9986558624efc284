"""Measurements of circuitdb beside what it stands in for; `python -m benchmarks` prints one table."""
