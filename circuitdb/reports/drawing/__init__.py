"""Drawings: a circuit, the kernels between two lists of units, a motif, each as an SVG that can be saved as PNG.

`draw_circuit`, `draw_kernel_matrix`, `draw_null` and `draw_pattern` are pure: plain records come in, a `Drawing` goes
out, the same bytes for the same input.
"""

from __future__ import annotations

from circuitdb.reports.drawing.circuit import draw_circuit
from circuitdb.reports.drawing.histogram import draw_null
from circuitdb.reports.drawing.matrix import draw_kernel_matrix
from circuitdb.reports.drawing.pattern import draw_pattern
from circuitdb.reports.drawing.svg import Drawing

__all__ = ["Drawing", "draw_circuit", "draw_kernel_matrix", "draw_null", "draw_pattern"]
