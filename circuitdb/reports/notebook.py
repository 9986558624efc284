"""How results show themselves in a notebook: a table of circuits with small drawings, a unit as its page."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from itertools import islice
from typing import TYPE_CHECKING, Any

from circuitdb.circuits import short_names
from circuitdb.reports.pictures import draw_circuits
from circuitdb.reports.words import strongest_coefficients

if TYPE_CHECKING:
    from circuitdb.circuits import Circuits
    from circuitdb.units import Unit

_MOST_ROWS = 10
_SMALL = 420
_WIDE = 900


def circuits_table(circuits: Circuits) -> str:
    """The first circuits as an HTML table: score, units, and the drawing, small."""
    shown = list(islice(circuits, _MOST_ROWS))
    rows = []
    for circuit, drawing in zip(shown, draw_circuits(shown, circuits.reader), strict=True):
        units = "<br>".join(
            f"<b>{escape(name)}</b> {escape(short_names(unit, circuit.model))}" for name, unit in circuit.units.items()
        )
        score = "" if circuit.score is None else f"{circuit.score:.3g}"
        small = drawing.small(_SMALL)
        rows.append(
            f"<tr><td>{escape(circuit.model)}</td><td>{score}</td>"
            f'<td style="text-align:left">{units}</td><td>{small}</td></tr>'
        )
    rest = len(circuits) - len(shown)
    more = f"<p>… and {rest:,} more; <code>report(path)</code> writes them all as a page</p>" if rest else ""
    said = escape(repr(circuits).split("\n", 1)[0])
    remarks = "".join(f"<p>{escape(remark)}</p>" for remark in circuits.remarks)
    head = "<tr><th>model</th><th>score</th><th>units</th><th>drawing</th></tr>" if shown else ""
    return f"<div><p>{said}</p><table>{head}{''.join(rows)}</table>{more}{remarks}</div>"


def unit_card(unit: Unit) -> str:
    """A unit as HTML: labels, properties, maps, families, analogues, and the drawing of its strongest edges."""
    labels = "; ".join(escape(row["label"]) for row in unit.labels)
    facts = [
        f"{escape(name.replace('_', ' '))} {value:.4g}"
        for name, value in unit.properties.items()
        if isinstance(value, float)
    ]
    taken = strongest_coefficients(unit.properties.get("coefficients") or ())
    facts += [f"takes {taken}"] if taken else []
    lines = [f"{row['map']}: {row['target']}{_score(row)}" for row in unit.maps]
    lines += [f"family {row['group']}, pose {row['pose']}" for row in unit.families]
    lines += [f"analogue {row['target']}{_score(row)}" for row in unit.analogues]
    listed = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return (
        f"<div><p><b>{escape(unit.key)}</b>{': ' + labels if labels else ''}</p><p>{' · '.join(facts)}</p>"
        + (f"<ul>{listed}</ul>" if lines else "")
        + f"{unit.draw().small(_WIDE)}</div>"
    )


def _score(row: Mapping[str, Any]) -> str:
    return "" if row.get("score") is None else f", score {row['score']:.2f}"
