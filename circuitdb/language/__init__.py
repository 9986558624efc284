"""The motif language: grammar, parser, syntax tree, diagnostics, and where the library lies."""
