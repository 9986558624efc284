"""The embedded store: one DuckDB file, searched by SQL that is made from patterns."""
