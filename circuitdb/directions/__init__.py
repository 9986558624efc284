"""Directions: units that are linear combinations of the neurons of their layer, with all edges that follow.

In come a whole model with every kernel, as `ingest --dense` writes it, and coefficients; out comes the model with the
directions among its units, or without them. What is computed: with c of unit length, moving the layer along c,

    K(s -> d) = sum over i of c_i K(s -> i)        what the direction reads of a source s
    K(d -> t) = sum over i of c_i K(i -> t)        what a target t reads along the direction

Kernels are linear in c, so these are exact but for the half precision in which every kernel is kept; weights come from
the matrices in single precision, and so does the strength where one neuron alone takes part. Directions of other layers
count as sources and targets too. Shares and ranks compare an edge with those of neurons alone, so that no neuron's edge
changes when a direction comes.
"""

from __future__ import annotations

from circuitdb.directions.units import unit_length, with_directions, without_directions

__all__ = ["unit_length", "with_directions", "without_directions"]
