"""Reports, drawings and exchange formats."""
