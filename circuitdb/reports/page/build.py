"""From results to the text of a page: the parts that stand still are a template, the rest is data for its script."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from circuitdb import __version__
from circuitdb.circuits import to_json
from circuitdb.files import whole_file
from circuitdb.graph import split_key
from circuitdb.pattern.model import Query
from circuitdb.pattern.serial import from_json
from circuitdb.reports import words
from circuitdb.reports.drawing import draw_kernel_matrix, draw_null
from circuitdb.reports.drawing.pattern import pattern_scene
from circuitdb.reports.drawing.render import render
from circuitdb.reports.page import content

if TYPE_CHECKING:
    from markupsafe import Markup

    from circuitdb.circuits import Asked, Circuits, Reader
    from circuitdb.statistics.significance import Significance

_FOLDER = Path(__file__).parent
_POLICY = (
    "default-src 'none'; img-src data:; style-src '{style}'; script-src '{script}'; base-uri 'none'; form-action 'none'"
)
_INPUTS_TRIED = 12
_ARROW = re.compile(r"[-+]&gt;|-\|")
"""An arrow of the motif language in escaped text."""


def circuits_page(
    circuits: Circuits,
    significance: Significance | None = None,
    *,
    out: str = "report.html",
    address: str | None = None,
) -> str:
    """The page of a search's circuits.

    Parameters
    ----------
    circuits
        What was found.
    significance
        How many circuits chance gives, if that was tested.
    out
        The file that the page's own command names.
    address
        The database in that command; the circuits' own if not given.
    """
    with circuits.reader.session():
        return _circuits_page(circuits, significance, out, address or circuits.store)


def _circuits_page(circuits: Circuits, significance: Significance | None, out: str, address: str) -> str:
    asked, reader = circuits.asked, circuits.reader
    question, query = told(circuits)
    values, left_out = content.circuits_content(circuits, reader)
    models = list(dict.fromkeys(query.models or (row["name"] for row in reader.models())))
    return filled(
        title=query.motif if query.motif != "query" else "Circuits",
        kind="circuits",
        values=values,
        number=_number(circuits),
        asked=question,
        models=models_told(reader, models),
        keep=circuits.keep,
        limits=[],
        remarks=[*circuits.remarks, *left_out],
        chance=chance_told(significance),
        command=_command(asked, significance, address, out),
        test_command=_test_command(asked.query, asked.models, asked.parameters, address),
    )


def told(circuits: Circuits) -> tuple[dict[str, Any], Query]:
    """What a search asked for: in words, as a diagram, as text, SQL and Cypher; and what it means."""
    from markupsafe import Markup

    asked = circuits.asked
    explained = circuits.reader.explain(asked.query, model=asked.models, **asked.parameters)
    query = from_json(explained["pattern"])
    motif = words.motif_text(circuits.query, query.motif)
    question = {
        "about": words.description(motif or circuits.query),
        "conditions": list(words.in_words(query.body)),
        "query": circuits.query,
        "motif": motif,
        "parameters": dict(asked.parameters),
        "diagram": Markup(render(replace(pattern_scene(query), notes=())).svg),
        "explained": {**explained, "parameters": json.dumps(explained["parameters"], ensure_ascii=False, indent=1)},
    }
    return question, query


def unit_page(key: str, reader: Reader, *, address: str, out: str = "report.html") -> str:
    """The page of one unit; `key` as `model/layer:index`, the rest as for `circuits_page`."""
    with reader.session():
        return _unit_page(key, reader, address, out)


def _unit_page(key: str, reader: Reader, address: str, out: str) -> str:
    model, _, _ = split_key(key)
    values = content.unit_content(key, reader)
    return filled(
        title=key,
        kind="unit",
        values=values,
        models=models_told(reader, [model]),
        keep=next((row["keep"] for row in reader.models() if row["name"] == model), None),
        limits=[],
        remarks=[],
        families=_family_matrices(key, reader),
        command=shlex.join(["circuitdb", "report", key, "--db", address, "-o", out]),
    )


def write_page(path: str | Path, page: str) -> None:
    """Write a page whole or not at all.

    Raises
    ------
    CircuitdbError
        If it cannot be written.
    """
    with whole_file(Path(path)) as file:
        file.write_text(page, encoding="utf-8")


def filled(*, values: Mapping[str, Any], **fields: Any) -> str:
    """The text of a page: the template with its fields, and the values that its script reads."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (_FOLDER.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    environment.filters.update(figure=_figure, whole=_whole, parted=_parted)
    return environment.get_template("page.html").render(
        policy=_POLICY.format(style=_hash(style), script=_hash(script)),
        style=Markup(style),
        script=Markup(script),
        data=Markup(_embedded({**values, "kind": fields["kind"], "levels": content.LEVEL_CHARACTERS})),
        version=__version__,
        **fields,
    )


def _embedded(value: Any) -> str:
    """JSON that no HTML parser can mistake for markup."""
    text = to_json(value)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _figure(value: Any) -> str:
    """A table's value as text: numbers with three digits, nothing for what is missing."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:#.3g}".removesuffix(".")
    return f"{value:,}" if isinstance(value, int) else str(value)


def _whole(text: str) -> Markup:
    """Text whose arrows, as `->`, stay in one line."""
    from markupsafe import Markup, escape

    return Markup(_ARROW.sub(r'<span class="whole">\g<0></span>', str(escape(text))))


def _parted(text: str) -> Markup:
    """Text that may go on in the next line behind an underscore."""
    from markupsafe import Markup, escape

    return escape(text).replace("_", Markup("_<wbr>"))


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _number(circuits: Circuits) -> str:
    """How many circuits there are, in a sentence."""
    noun = "circuit" if len(circuits) == 1 else "circuits"
    if not circuits.truncated:
        return f"{len(circuits):,} {noun}, all that there are"
    limit = "the time ran out" if circuits.stopped_by == "seconds" else "the limit was reached"
    if circuits.total is None:
        return f"the strongest {len(circuits):,} {noun}; there are more ({limit})"
    return f"the strongest {len(circuits):,} of {circuits.total:,} circuits ({limit})"


def models_told(reader: Reader, names: Sequence[str]) -> list[dict[str, Any]]:
    """What a page says of models: weights, keep rule, energy kept, pictures."""
    rows = {row["name"]: row for row in reader.models()}
    return [
        {
            **{name: rows[model].get(name) for name in ("name", "architecture", "dataset", "source", "keep", "edges")},
            "sha256": rows[model].get("weights_sha256"),
            "licence": rows[model].get("licence"),
            "units": sum((layer["width"] or 0) + len(layer["directions"]) for layer in rows[model]["layers"]),
            "layers": len(rows[model]["layers"]),
            "energy": _energy_kept(reader, rows[model]),
            "probes": _probes(rows[model].get("probes")),
        }
        for model in names
        if model in rows
    ]


def _probes(probes: Any) -> str | None:
    if not isinstance(probes, Mapping):
        return None
    return f"{probes.get('name')}, {probes.get('pictures')} pictures, sha256 {probes.get('sha256')}"


def _energy_kept(reader: Reader, model: Mapping[str, Any]) -> float | None:
    """The mean over all units with inputs of the part of their squared weights that kept edges carry."""
    kept = [
        unit["energy_kept_in"]
        for layer in model["layers"]
        for unit in reader.layer_units(model["name"], layer["name"])
        if unit.get("energy_kept_in") is not None
    ]
    return sum(kept) / len(kept) if kept else None


def chance_told(significance: Significance | None) -> dict[str, Any] | None:
    """What a page says of chance, with the picture of the null."""
    if significance is None:
        return None
    from markupsafe import Markup

    drawing = draw_null(significance.observed, significance.counts, title="Circuits found and what chance gives")
    sentence = re.sub("^query ", "The query ", significance.sentence)
    return {**significance.to_dict(), "sentence": sentence, "drawing": Markup(drawing.svg)}


def _family_matrices(key: str, reader: Reader) -> list[Any]:
    """For each family of a unit, the kernels from the family of its strongest input to its own, poses in order."""
    from markupsafe import Markup

    unit = reader.unit(key)
    drawings = []
    for family in unit.families:
        members = [row["unit"] for row in family.get("members") or ()]
        sources_tried = (reader.unit(edge["source"]) for edge in unit.inputs(_INPUTS_TRIED))
        before = next((source for source in sources_tried if source.families), None)
        if len(members) < 2 or before is None:
            continue
        sources = [row["unit"] for row in before.families[0]["members"]]
        poses = {row["unit"]: row["pose"] for one in (family, before.families[0]) for row in one["members"]}
        edges = [edge for own in reader.edges_of(members, "in").values() for edge in own]
        title = f"Weights between two families of {family['group']}"
        drawings.append(Markup(draw_kernel_matrix(sources, members, edges, title=title, captions=poses).svg))
    return drawings


def _arguments(models: Sequence[str] | None, parameters: Mapping[str, Any]) -> list[str]:
    listed = [part for model in models or () for part in ("--model", model)]
    for name, value in parameters.items():
        listed += ["--param", f"{name}={_written(value)}"]
    return listed


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, float) else str(value)


def _command(asked: Asked, significance: Significance | None, address: str, out: str) -> str:
    listed = _arguments(asked.models, asked.parameters)
    listed += [] if asked.limit is None else ["--limit", str(asked.limit)]
    if significance is not None:
        listed += ["--samples", str(significance.samples), "--seed", str(significance.seed)]
    return shlex.join(["circuitdb", "report", asked.query, *listed, "--db", address, "-o", out])


def _test_command(query: str, models: Sequence[str] | None, parameters: Mapping[str, Any], address: str) -> str:
    return shlex.join(["circuitdb", "test", query, *_arguments(models, parameters), "--db", address])
