"""A database as Python sees it: `circuitdb.open` returns a `Database`, its methods bring models, units and circuits.

In come addresses, unit keys and motifs as text, out come plain rows, `Unit` and `Circuits`. This is the one place that
joins the compiler of the language to the stores; the command is written on top of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from circuitdb.backends import open_store
from circuitdb.backends.base import Analogues, Limits, ModelGraph, Progress, Row
from circuitdb.backends.duckdb.emitter import Models
from circuitdb.backends.duckdb.search import page_sql
from circuitdb.backends.neo4j.search import page_cypher
from circuitdb.backends.validation import check_text, checked
from circuitdb.circuits import Asked, Circuit, Circuits
from circuitdb.errors import InputError
from circuitdb.graph import UnitKind, unit_key
from circuitdb.language.diagnostics import nearest, some
from circuitdb.pattern.keeping import lacking_maps, maps_needed, remarks_on
from circuitdb.pattern.model import Query
from circuitdb.pattern.serial import to_json
from circuitdb.question import DEFAULT_SECONDS, compile_question, keep_rules, rows_asked, seconds_asked
from circuitdb.reports.exchange import Exchange, document_text, read_document, write_document
from circuitdb.transfer import Copied, canonical, model_names, push
from circuitdb.units import Unit

if TYPE_CHECKING:
    import networkx as nx
    import numpy.typing as npt

    from circuitdb.reports.drawing import Drawing
    from circuitdb.statistics.significance import NullName, Significance
    from circuitdb.statistics.weights_and_maps import WeightsAndMaps
    from circuitdb.universality.join import Joined
    from circuitdb.universality.signatures import Reader
    from circuitdb.universality.table import Universality

_UNIT = re.compile(r"(?:(?:(?P<model>[^/:]+)/)?(?P<layer>[^/:]+):)?(?P<index>[0-9]{1,10})")


class Database:
    """A store of models, and the searches in it."""

    def __init__(self, address: str) -> None:
        self._store = open_store(address)
        self.address = self._store.address

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"circuitdb.open({self.address!r})"

    def close(self) -> None:
        """Release the store."""
        self._store.close()

    def session(self) -> AbstractContextManager[object]:
        """A time in which operations share what is open, so that several in a row cost no more than one."""
        return self._store.session()

    def models(self) -> list[Row]:
        """Every model: its properties, `layers` (rows in order of depth) and `edges` (their number)."""
        return self._store.models()

    def model(self, name: str) -> Row:
        """One model, as `models` lists it.

        Raises
        ------
        InputError
            If there is none of that name; the nearest name is told.
        """
        models: dict[str, Row] = {row["name"]: row for row in self.models()}
        if name not in models:
            raise InputError(f"no model {name!r} in {self.address}{nearest(name, models)}")
        return models[name]

    def layer(self, model: str, name: str) -> Row:
        """One layer of a model.

        Raises
        ------
        InputError
            If there is no such model or layer; the nearest name is told.
        """
        layers: dict[str, Row] = {row["name"]: row for row in self.model(model)["layers"]}
        if name not in layers:
            raise InputError(f"no layer {name!r} in {model}{nearest(name, layers)}")
        return layers[name]

    def layer_named(self, name: str) -> tuple[str, Row]:
        """A layer with its model's name, by both, `inceptionv1/mixed4c`, or by the end of its own name, `4c`.

        Raises
        ------
        InputError
            If there is no such layer, or several; these, or the nearest, are named.
        """
        match = re.fullmatch(r"(?:(?P<model>[^/:]+)/)?(?P<layer>[^/:]+)", name)
        if match is None:
            raise InputError(f"{name[:200]!r} is no layer; one looks like inceptionv1/mixed4c or 4c")
        found = self._layers_named(match["model"], match["layer"])
        if len(found) > 1:
            shown = some([f"{model}/{row['name']}" for model, row in found])
            raise InputError(f"{name!r} may be any of {shown}; write more of the name")
        return found[0]

    def units(self, keys: Sequence[str]) -> list[Row]:
        """The properties of units by their keys, with `labels`, in the order asked; what is not there is left out."""
        return self._store.units(keys)

    def layer_units(self, model: str, layer: str) -> list[Row]:
        """The units of a layer in order: their properties, with `labels`.

        Raises
        ------
        InputError
            If there is no such model or layer; the nearest name is told.
        """
        return self._store.layer_units(model, self.layer(model, layer)["name"])

    def examples(self, keys: Sequence[str]) -> dict[str, list[Row]]:
        """The strongest probe positions of units: rows with rank, picture, y, x, value, thumbnail (PNG or None)."""
        return self._store.examples(keys)

    def unit(self, name: str) -> Unit:
        """A unit by its key, `inceptionv1/mixed4c:447`, or by as much of the key's end as makes it clear, `4c:447`.

        Raises
        ------
        InputError
            If there is no such unit, or several; these are named.
        """
        match = _UNIT.fullmatch(name)
        if match is None:
            raise InputError(f"{name[:200]!r} is no unit; one looks like inceptionv1/mixed4c:447, 4c:447 or 447")
        whole = self._store.unit(name) if match["model"] is not None else None
        if whole is not None:
            return Unit(name, whole, self._store)
        layers = self._layers_named(match["model"], match["layer"])
        keys = [unit_key(model, layer["name"], int(match["index"])) for model, layer in layers]
        found = [row["key"] for row in self.units(keys)]
        if len(found) > 1:
            raise InputError(f"{name!r} may be any of {some(found)}; write more of the key")
        record = self._store.unit(found[0]) if found else None
        if record is None:
            widths = "; ".join(f"{model}/{layer['name']} has {layer['width']:,} units" for model, layer in layers[:4])
            raise InputError(f"no unit {name!r} in {self.address}" + (f": {widths}" if widths else ""))
        return Unit(record["key"], record, self._store)

    def unit_keys(self, names: Iterable[str]) -> dict[str, str]:
        """The whole keys of units by their names as `unit` takes them, read at once; those not clear are left out."""
        layers: dict[tuple[str | None, str | None], list[tuple[str, Row]]] = {}
        candidates: dict[str, list[str]] = {}
        for name in dict.fromkeys(names):
            if (match := _UNIT.fullmatch(name)) is None:
                continue
            of = match["model"], match["layer"]
            if of not in layers:
                try:
                    layers[of] = self._layers_named(*of)
                except InputError:
                    layers[of] = []
            candidates[name] = [unit_key(model, layer["name"], int(match["index"])) for model, layer in layers[of]]
        there = {row["key"] for row in self.units([key for keys in candidates.values() for key in keys])}
        found = {name: [key for key in keys if key in there] for name, keys in candidates.items()}
        return {name: keys[0] for name, keys in found.items() if len(keys) == 1}

    def units_at(self, keys: Sequence[str]) -> list[Unit]:
        """Units by their whole keys, in the order asked, read at once; what is not there is left out."""
        found = self._store.whole_units(keys)
        return [Unit(key, found[key], self._store) for key in keys if key in found]

    def edges_of(
        self, keys: Sequence[str], direction: Literal["in", "out"], top: int | None = None
    ) -> dict[str, list[Row]]:
        """By key, the incoming or outgoing edges of units, strongest first, read at once; see `Unit.inputs`.

        Raises
        ------
        InputError
            If there is no such unit.
        """
        return self._store.edges_of(keys, direction, top)

    def _layers_named(self, model: str | None, name: str | None) -> list[tuple[str, Row]]:
        """Models' names and their layers, all or those so called, or else those whose name ends so."""
        if model is not None and name is not None:
            return [(model, self.layer(model, name))]
        layers = [(row["name"], layer) for row in self.models() for layer in row["layers"]]
        if name is None:
            return layers
        found = [(model, layer) for model, layer in layers if layer["name"] == name]
        found = found or [(model, layer) for model, layer in layers if layer["name"].endswith(name)]
        if not found:
            raise InputError(f"no layer {name!r} in {self.address}{nearest(name, {row['name'] for _, row in layers})}")
        return found

    def labels(self, model: str) -> list[Row]:
        """The labels of a model's units, `unit` (key), `label` and `source`, in order of key.

        Raises
        ------
        InputError
            If there is no such model.
        """
        return self._store.labels(self.model(model)["name"])

    def add_labels(self, labels: Iterable[tuple[str, str, str | None]]) -> None:
        """Add labels, each (unit's key, label, source), all or none.

        Raises
        ------
        InputError
            If there is no such unit.
        """
        self._store.add_labels(list(labels))

    def delete_label(self, key: str, label: str) -> None:
        """Take a label from a unit, whoever gave it.

        Raises
        ------
        InputError
            If there is no such unit, or it does not have the label.
        """
        self._store.delete_label(key, label)

    def directions(self, model: str) -> list[Row]:
        """The directions of a model in order of their keys: their properties, with `labels`.

        Raises
        ------
        InputError
            If there is no such model; the nearest name is told.
        """
        layers = self.model(model)["layers"]
        return self.units([unit_key(model, row["name"], index) for row in layers for index in row["directions"]])

    def add_directions(
        self,
        layer: str,
        coefficients: npt.ArrayLike,
        labels: Sequence[str | None] | None = None,
        source: str | None = None,
    ) -> list[str]:
        """Add directions to a layer, all or none: units that are linear combinations of its neurons.

        Their edges follow from the model's kernels and its keep rule; see `circuitdb.directions.with_directions`.

        Parameters
        ----------
        layer
            Its model and name, as `inceptionv1/mixed4c`, or the name alone where one layer has it.
        coefficients
            [direction, neuron], of any length; they are made of unit length.
        labels, source
            A label or None for each direction, and who says so.

        Returns
        -------
        The keys of the new units.

        Raises
        ------
        InputError
            If there is no such layer, the coefficients do not fit it, the model was ingested without its kernels, or
            the store does not hold them.
        """
        from circuitdb.directions import unit_length, with_directions

        model, row = self.layer_named(layer)
        name = row["name"]
        made = unit_length(coefficients, row["width"], f"{model}/{name}")
        if labels is not None and len(labels) != len(made):
            raise InputError(f"{len(labels)} labels for {len(made)} directions")
        for text in (*(labels or ()), source):
            check_text(text or "", "a label or its source")
        after = self._store.rewrite(
            model, lambda graph: with_directions(graph, name, coefficients, labels=labels, source=source)
        )
        units = zip(after.units["key"].to_pylist(), after.units["layer"].to_pylist(), strict=True)
        return [key for key, own in units if own == name][-len(made) :]

    def delete_direction(self, key: str) -> None:
        """Delete a direction with its edges and all that refers to it.

        Raises
        ------
        InputError
            If there is no such unit, or it is a neuron, or the store cannot change a model.
        """
        from circuitdb.directions import without_directions

        unit = self.unit(key)
        if unit.properties["kind"] != UnitKind.DIRECTION:
            raise InputError(f"{unit.key} is a {unit.properties['kind']}; only directions can be deleted")
        self._store.rewrite(unit.properties["model"], lambda graph: without_directions(graph, [unit.key]))

    def delete(self, model: str) -> None:
        """Delete a model and all that is its own.

        Raises
        ------
        InputError
            If there is no such model.
        """
        self._store.delete(self.model(model)["name"])

    def find(
        self,
        query: str | Path,
        /,
        *,
        model: str | Sequence[str] | None = None,
        limit: int | None = None,
        seconds: float | None = DEFAULT_SECONDS,
        memory_mb: int | None = None,
        **parameters: Any,
    ) -> Circuits:
        """Search for circuits.

        Parameters
        ----------
        query
            The name of a motif of the library, the path of a `.motif` file, or text of the motif language.
        model
            The model or models to search; otherwise those that the text names, or all.
        limit
            How many circuits to bring at most; otherwise what the text says, or 1000.
        seconds
            How long to search at most; None for as long as it takes.
        memory_mb
            How many megabytes the search in a file may take; None for four fifths of the machine's. A server has its
            own bound.
        parameters
            Values for the motif's parameters.

        Raises
        ------
        InputError
            If the query has a mistake; the message points at it.
        CircuitdbError
            If the memory does not suffice.
        """
        with self._store.session():
            models = self.models()
            text, compiled = self._compile(query, model, parameters, models)
            limits = Limits(rows_asked(compiled, limit), seconds_asked(seconds), memory_mb)
            found = self._store.find(replace(compiled, limit=None), limits)
            remarks = remarks_on(compiled, {row["name"]: row["keep"] for row in models})
            if not found.matches and not found.truncated:
                remarks += self._lacking_maps(compiled, [row["name"] for row in models])
        return Circuits(
            found.matches,
            motif=compiled.motif,
            names=compiled.names,
            query=text,
            store=self.address,
            keep=keep_rules(models, compiled.models),
            seconds=found.seconds,
            truncated=found.truncated,
            stopped_by=found.stopped_by,
            total=found.total,
            remarks=remarks,
            asked=Asked(str(query), compiled.models, parameters, limit),
            reader=self,
        )

    def _lacking_maps(self, query: Query, models: Sequence[str]) -> tuple[str, ...]:
        """A sentence for every model searched that holds no row of a map which every circuit needs."""
        needed = maps_needed(query)
        lacking = {
            model: [m for m in needed if not self.count(f"find {{ unit a where {m}(a) != missing }}", model=model)]
            for model in (models if query.models is None else query.models)
        }
        return tuple(lacking_maps(model, maps) for model, maps in lacking.items() if maps)

    def count(
        self,
        query: str | Path,
        /,
        *,
        model: str | Sequence[str] | None = None,
        seconds: float | None = None,
        memory_mb: int | None = None,
        **parameters: Any,
    ) -> int:
        """How many circuits there are in all, whatever limit the text sets. Arguments as for `find`."""
        with self._store.session():
            _, compiled = self._compile(query, model, parameters, self.models())
            return self._store.count(compiled, Limits(None, seconds_asked(seconds), memory_mb))

    def remarks(
        self,
        query: str | Path,
        /,
        *,
        found: int | None = None,
        model: str | Sequence[str] | None = None,
        **parameters: Any,
    ) -> tuple[str, ...]:
        """What the answer to a query does not tell, as `find` says it with its circuits.

        `found` is how many circuits there are; of 0 it may say why. Other arguments are as for `find`.
        """
        models = self.models()
        _, compiled = self._compile(query, model, parameters, models)
        remarks = remarks_on(compiled, {row["name"]: row["keep"] for row in models})
        return remarks + (self._lacking_maps(compiled, [row["name"] for row in models]) if found == 0 else ())

    def significance(
        self,
        query: str | Path,
        /,
        *,
        model: str | None = None,
        samples: int = 200,
        seed: int = 0,
        null: NullName = "edges",
        circuits: int = 0,
        cores: int | None = None,
        progress: Progress | None = None,
        **parameters: Any,
    ) -> Significance:
        """How the number of circuits in a model compares with what chance gives; see docs/chance.md.

        Parameters
        ----------
        query
            As for `find`.
        model
            The model; otherwise the one that the text names, or the only one.
        samples, seed
            How many shuffled graphs, and the seed; equal seeds give equal numbers on any number of cores.
        null
            What is shuffled: `edges`, with every unit's degrees kept, or `maps`, which unit is whose partner.
        circuits
            For how many of the strongest circuits to say how many as strong chance gives.
        cores
            Cores to work on at most; None for all.
        progress
            Told after every sample.
        parameters
            Values for the motif's parameters.

        Raises
        ------
        InputError
            If the query has a mistake, several models could be meant, the query reaches into other models, or the null
            or a number is none that makes sense.
        """
        from circuitdb.statistics.significance import check, significance

        models = self.models()
        text, compiled = self._compile(query, model, parameters, models)
        check(compiled, null, samples, seed, circuits)
        one = self._one_model(compiled, models)
        compiled = replace(compiled, models=(one,))
        limits = Limits(rows=circuits, seconds=None)
        by_score = replace(compiled, order=None, descending=False, limit=None)
        found = self._store.find(by_score, limits).matches if circuits else ()
        return significance(
            self._store.read(one),
            compiled,
            null=null,
            samples=samples,
            seed=seed,
            strongest=[Circuit(compiled.motif, match.model, match.units, match.edges, match.score) for match in found],
            cores=cores,
            progress=progress,
            text=text,
            store=self.address,
            remarks=remarks_on(compiled, {row["name"]: row["keep"] for row in models}),
        )

    def _one_model(self, query: Query, models: Sequence[Row]) -> str:
        """The one model that a query searches."""
        searched = [row["name"] for row in models] if query.models is None else list(query.models)
        if len(searched) != 1:
            several = f"; it may be any of {some(searched)}" if searched else f"; {self.address} holds none"
            raise InputError(f"a test takes one model{several}")
        return str(searched[0])

    def join(
        self,
        a: str,
        b: str,
        *,
        layers: str | None = None,
        probes_sha256: str | None = None,
        untrained: Sequence[str] | None = None,
        read: Reader | None = None,
        best: int = 3,
        samples: int = 2,
        seed: int = 0,
        soft_groups: bool = False,
        progress: Progress | None = None,
    ) -> Joined:
        """Find which units of model B answer to pictures as the units of A do, and write them as analogues.

        Parameters
        ----------
        layers
            Which pairs of layers: None for all, `band` for those of like depth, or `LAYER:LAYER,LAYER:LAYER…`.
        probes_sha256
            The probes that both must have seen; the beginning is enough.
        untrained
            Models that are untrained copies of B, a third null; None: those of B's architecture with random weights
            that saw the same probes.
        read
            `ingest.exact.reader(…)`, to run the networks again; None: stored signatures.
        best
            How many analogues a unit gets.
        samples, seed
            How often each null is drawn; the seed of halves and nulls.
        soft_groups
            Whether to look for groups of units of B that share a unit's role.

        Raises
        ------
        InputError
            If a model or layer is not there, a model was not probed, or they saw different probes.
        """
        from circuitdb.universality.joining import join_models
        from circuitdb.universality.signatures import read_signatures

        for name in (a, b, *(untrained or ())):
            self.model(name)
        return join_models(
            self._store,
            a,
            b,
            layers=layers,
            probes_sha256=probes_sha256,
            untrained=untrained,
            read=read or read_signatures,
            best=best,
            samples=samples,
            seed=seed,
            soft_groups=soft_groups,
            progress=progress,
        )

    def maps(
        self,
        model: str,
        *,
        maps: Sequence[str] | None = None,
        layers: Sequence[str] | None = None,
        samples: int = 20,
        seed: int = 0,
        progress: Progress | None = None,
    ) -> WeightsAndMaps:
        """How well a model's weights agree with its maps, which were found without them; see docs/maps.md.

        Parameters
        ----------
        model
            The model; it must have been probed.
        maps, layers
            Only these maps; only pairs of these layers.
        samples, seed
            How often partners are shuffled, and the seed; equal seeds give equal figures.

        Raises
        ------
        InputError
            If there is no such model, map or layer, or the number of samples or the seed is negative.
        """
        from circuitdb.statistics.weights_and_maps import weights_and_maps

        if samples < 0 or seed < 0:
            raise InputError("the number of samples and the seed are 0 or more")
        for layer in layers or ():
            self.layer(model, layer)
        graph = self.graph(model)
        known = set() if graph.maps is None else set(graph.maps["map"].to_pylist())
        for name in maps or ():
            if name not in known:
                raise InputError(f"{model} has no map {name!r}{nearest(name, known)}")
        return weights_and_maps(graph, maps=maps, layers=layers, samples=samples, seed=seed, progress=progress)

    def universality(
        self,
        query: str | Path,
        /,
        *,
        models: Sequence[str],
        analogues: int = 3,
        samples: int = 100,
        seed: int = 0,
        limit: int = 10_000,
        progress: Progress | None = None,
        **parameters: Any,
    ) -> Universality:
        """Which circuits of a motif come back in which models, beside what chance gives; see docs/universality.md.

        Parameters
        ----------
        query
            As for `find`.
        models
            Two or more, probed on the same pictures and joined both ways.
        analogues
            How many of its best analogues may stand for a unit.
        samples, seed
            How often each null is drawn, and the seed.
        limit
            How many circuits of each model to look at, the strongest.
        parameters
            Values for the motif's parameters.

        Raises
        ------
        InputError
            If the query has a mistake, or a model was not probed or joined.
        """
        from circuitdb.universality.table import universality

        names = [self.model(name)["name"] for name in dict.fromkeys(models)]
        _, compiled = self._compile(query, names, parameters, self.models())
        found = universality(
            self._store, compiled, names, choices=analogues, samples=samples, seed=seed, limit=limit, progress=progress
        )
        return replace(found, remarks=self._lacking_maps(compiled, names))

    def edge_agreement(self, a: str, b: str, *, samples: int = 20, seed: int = 0) -> list[Row]:
        """Whether partners by response are wired alike: by pairs of layers, signs and Spearman of the signed shares.

        Raises
        ------
        InputError
            If a model was not probed, or A was not joined with B.
        """
        from circuitdb.universality.wiring import edge_agreement

        names = [self.model(name)["name"] for name in (a, b)]
        return edge_agreement(self._store, names[0], names[1], samples=samples, seed=seed)

    def correspondences(self, models: Sequence[str] | None = None) -> nx.DiGraph[str]:
        """The analogues between models, all unless some are named, as a graph of unit keys.

        Raises
        ------
        InputError
            If there is no such model.
        """
        from circuitdb.universality.correspondence import correspondence_graph, correspondence_table

        names = [row["name"] for row in self.models()] if models is None else [self.model(n)["name"] for n in models]
        return correspondence_graph(correspondence_table(self._store, names))

    def write_correspondences(self, file: str | Path, models: Sequence[str] | None = None) -> int:
        """Write the analogues between models to a Parquet file, and return how many there are.

        Raises
        ------
        InputError
            If there is no such model.
        CircuitdbError
            If the file cannot be written.
        """
        import pyarrow.parquet as pq

        from circuitdb.files import whole_file
        from circuitdb.universality.correspondence import correspondence_table

        names = [row["name"] for row in self.models()] if models is None else [self.model(n)["name"] for n in models]
        table = correspondence_table(self._store, names)
        with whole_file(Path(file)) as unfinished:
            pq.write_table(table, unfinished)
        return int(table.num_rows)

    def explain(
        self, query: str | Path, /, *, model: str | Sequence[str] | None = None, **parameters: Any
    ) -> dict[str, Any]:
        """What a query compiles to. Arguments as for `find`.

        Returns
        -------
        `pattern`; `cypher` and `sql`, the search for a server and for a file; `parameters` of each; `predicates`, a row
        for each condition that says who evaluates it; `count`, the plan and the text with which this store counts.
        """
        models = self.models()
        _, compiled = self._compile(query, model, parameters, models)
        compiled = replace(compiled, limit=rows_asked(compiled, None))
        explanation = self._store.explain(compiled)
        texts = {explanation.language: (explanation.text, explanation.parameters)}
        if "sql" not in texts:
            ids = {row["name"]: number for number, row in enumerate(models)}
            sql = page_sql(compiled, Models.of(compiled, ids), compiled.limit)
            texts["sql"] = sql.sql, sql.parameters
        if "cypher" not in texts:
            cypher = page_cypher(compiled, compiled.limit)
            texts["cypher"] = cypher.text, cypher.parameters
        return {
            "pattern": to_json(compiled),
            "cypher": texts["cypher"][0],
            "sql": texts["sql"][0],
            "parameters": {language: dict(values) for language, (_, values) in texts.items()},
            "predicates": list(explanation.predicates),
            "count": explanation.count_text,
        }

    def diagram(self, query: str | Path, /, *, model: str | Sequence[str] | None = None, **parameters: Any) -> Drawing:
        """The picture of what a query asks for. Arguments as for `find`."""
        from circuitdb.reports.drawing import draw_pattern

        return draw_pattern(self._compile(query, model, parameters, self.models())[1])

    def draw_weights(self, sources: str | Sequence[str], targets: str | Sequence[str]) -> Drawing:
        """The matrix of kernels between two lists of units, rows for targets and columns for sources.

        A single unit instead of a list stands for its family in the order of poses, if it is in one.

        Raises
        ------
        InputError
            If there is no such unit, or several; these are named.
        """
        from circuitdb.reports.pictures import draw_weights

        def listed(units: str | Sequence[str]) -> list[Unit]:
            if not isinstance(units, str):
                return [self.unit(name) for name in units]
            unit = self.unit(units)
            members = [row["unit"] for family in unit.families[:1] for row in family["members"]]
            return [self.unit(key) for key in members] or [unit]

        with self.session():
            return draw_weights(listed(sources), listed(targets))

    def graph(self, model: str) -> ModelGraph:
        """A whole model.

        Raises
        ------
        InputError
            If there is no such model; the nearest name is told.
        """
        return self._store.read(self.model(model)["name"])

    def document(self, models: Sequence[str]) -> dict[str, Any]:
        """Whole models, and the analogues between them, in the exchange form; equal graphs give equal documents.

        Raises
        ------
        InputError
            If there is no such model; the nearest name is told.
        """
        return write_document(*self._graphs(models))

    def document_text(self, models: Sequence[str]) -> Iterator[str]:
        """The same as JSON text, in pieces. Arguments and errors as for `document`."""
        return document_text(*self._graphs(models))

    def _graphs(self, models: Sequence[str]) -> tuple[list[ModelGraph], list[Analogues]]:
        """The models, each in its one form, and the analogues between them."""
        graphs = [canonical(self.graph(model)) for model in dict.fromkeys(models)]
        return graphs, self.analogues(models)

    def analogues(self, models: Sequence[str]) -> list[Analogues]:
        """The analogues between these models, a table for each pair that has any."""
        return [pairs for pairs in self._store.analogues() if {pairs.source, pairs.target} <= set(models)]

    def import_document(
        self, document: object, *, replace: bool = False, progress: Progress | None = None
    ) -> list[str]:
        """Write the models and analogues of a document in the exchange form; return the models' names.

        Everything is checked before anything is written. Each model is written whole or not at all, one after the
        other, then the analogues, in the place of those between the same two models.

        Raises
        ------
        InputError
            If anything in it is wrong, with its place, or if a model is there already and `replace` is false. Nothing
            is written then.
        CircuitdbError
            If the store fails. What was written before stays.
        """
        return self._write(read_document(document, self._keys_of), replace, progress)

    def import_folder(self, folder: Path, *, replace: bool = False, progress: Progress | None = None) -> list[str]:
        """Write the models and analogues of a folder of Parquet tables; see docs/exports.md.

        Everything else, errors included, is as in `import_document`.
        """
        from circuitdb.reports.exchange.folder import read_folder

        return self._write(read_folder(folder, self._keys_of), replace, progress)

    def _write(self, exchange: Exchange, replace: bool, progress: Progress | None) -> list[str]:
        """Check, then write what came in; return the models' names."""
        graphs = [checked(graph) for graph in exchange.graphs]
        there = self._names()
        twice = next((graph.name for graph in graphs if graph.name in there), None)
        if twice is not None and not replace:
            raise InputError(f"model {twice!r} is already in {self.address}; --replace writes it anew")
        for graph in graphs:
            self._store.write(graph, replace=graph.name in there, progress=progress)
        for analogues in exchange.analogues:
            self._store.write_analogues(analogues)
        return [graph.name for graph in graphs]

    def push(
        self,
        address: str,
        models: Sequence[str] | None = None,
        *,
        replace: bool = False,
        progress: Progress | None = None,
    ) -> list[Copied]:
        """Copy models, all unless some are named, to another store; see `circuitdb.transfer.push`."""
        target = open_store(address)
        try:
            names = None if models is None else [self.model(name)["name"] for name in models]
            return push(self._store, target, names, replace=replace, progress=progress)
        finally:
            target.close()

    def _names(self) -> set[str]:
        """The models of the store; none where the first write is yet to make the file."""
        return model_names(self._store)

    def _keys_of(self, model: str) -> list[str]:
        """The keys of a model's units in order; none where there is no such model."""
        layers = [row["layers"] for row in self.models() if row["name"] == model] if self._names() else []
        return [
            unit["key"] for own in layers for layer in own for unit in self._store.layer_units(model, layer["name"])
        ]

    def _compile(
        self,
        query: str | Path,
        model: str | Sequence[str] | None,
        parameters: Mapping[str, Any],
        models: Sequence[Row],
    ) -> tuple[str, Query]:
        """The text of a query and what it means; `models` are those of the store, `model` those to be searched."""
        return compile_question(query, model, parameters, models, self.address)
