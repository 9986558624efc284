"""From the syntax tree to the Pattern, the resolved form that every store compiles."""
