"""Random patterns with symmetries: fans, diamonds, mirrored pairs, equal blocks, and something that breaks them.

Most random patterns have no symmetry, but symmetry is where circuits get lost or doubled, so some patterns start here.
"""

from __future__ import annotations

import itertools

from tests.random_conditions import Body, Conditions


class Symmetric(Conditions):
    """Writes the beginnings of symmetric patterns."""

    def symmetric(self, body: Body, model: str) -> None:
        """A symmetric drawing around a witness, with equal blocks on its sides, and maybe a condition on one side."""
        network = self.graphs.network
        units = self.graphs.units(model)
        makers = (self._fan, self._fan, self._diamond, self._pairs, self._mirrored_pair, self._orbit)
        sides = self.rng.choice(makers)(body, units)
        if not sides:
            return
        if self.chance(0.4):
            self._equal_blocks(body, sides)
        for _ in range(self.rng.choice((0, 0, 1, 2))):
            side = self.rng.choice(sides)
            unit = network.nodes[body.units[side]]
            match self.rng.choice(("where", "where", "no", "unit", "edge", *["count"] * (2 * bool(body.counted)))):
                case "where":
                    body.lines.append(f"where {self.on_record(body, 'unit', unit, side + '.')}")
                case "no":
                    arrow = self.rng.choice(("->", "+>", "-|"))
                    ends = self.rng.choice(((side, "none"), ("none", side)))
                    where = self.rng.choice(("share > 0.3", "weight > 0.25", "rank_in = 1", "top = missing"))
                    body.lines.append(f"no {ends[0]} {arrow} {ends[1]} where {where}")
                case "count":
                    length = f"count({self.rng.choice(body.counted)})"
                    other = f"count({self.rng.choice(body.counted)})" if self.chance(0.3) else self.rng.randrange(4)
                    body.lines.append(f"where {length} {self.rng.choice(('<', '>', '>=', '!=', '='))} {other}")
                case "unit" if "(" not in side:
                    body.lines.append(f"unit {side} where {self.on_record(body, 'unit', unit, '')}")
                case _:
                    one, other = self.rng.sample(sides, 2)
                    operator = self.rng.choice(("<", "<=", "!=", ">"))
                    body.lines.append(f"where {one}.index {operator} {other}.index")

    def _fan(self, body: Body, units: list[str]) -> list[str]:
        """Two or three equal edges from or to one unit."""
        network = self.graphs.network
        inward = self.chance(0.5)
        near = {key: list(network.predecessors(key) if inward else network.successors(key)) for key in units}
        hubs = [key for key, others in near.items() if len(others) >= 2]
        if not hubs:
            return []
        hub = self.rng.choice(hubs)
        members = self.rng.sample(near[hub], min(len(near[hub]), self.rng.choice((2, 2, 3))))
        names = ["a", "b", "c"][: len(members)]
        body.units |= dict(zip(names, members, strict=True)) | {"h": hub}
        arrow = self.rng.choice(("->", "->", "+>"))
        for name in names:
            body.lines.append(f"{name} {arrow} h" if inward else f"h {arrow} {name}")
        return names

    def _diamond(self, body: Body, units: list[str]) -> list[str]:
        """Two sources and two targets, every source with every target; maybe crossed inhibition."""
        network = self.graphs.network
        found = [
            (a, b, c, d)
            for a, c in itertools.combinations(units, 2)
            for b, d in itertools.combinations(sorted(set(network.successors(a)) & set(network.successors(c))), 2)
        ]
        if not found:
            return []
        body.units |= dict(zip("abcd", self.rng.choice(found), strict=True))
        straight, crossed = self.rng.choice((("->", "->"), ("->", "->"), ("+>", "->"), ("+>", "-|")))
        body.lines += [f"a {straight} b", f"c {straight} d", f"a {crossed} d", f"c {crossed} b"]
        return self.rng.choice((["a", "c"], ["b", "d"]))

    def _pairs(self, body: Body, units: list[str]) -> list[str]:
        """Two edges that have nothing to do with each other."""
        edges = [(one, other) for one, other in self.graphs.network.edges(units)]
        pairs = [(*one, *other) for one, other in itertools.combinations(edges, 2) if len({*one, *other}) == 4]
        if not pairs:
            return []
        body.units |= dict(zip("abcd", self.rng.choice(pairs), strict=True))
        body.lines += ["a -> b", "c -> d"]
        return ["a", "c"]

    def _mirrored_pair(self, body: Body, units: list[str]) -> list[str]:
        """A unit and its image, each with an edge to one unit or to a unit and its image."""
        maps, network = self.graphs.maps, self.graphs.network
        rows = [maps[self.group, key] for key in units if (self.group, key) in maps]
        rows = [row for row in rows if row["source"] != row["target"]]
        if not rows:
            return []
        row = self.rng.choice(rows)
        image = f"{self.group_name}(a)"
        body.units |= {"a": row["source"], image: row["target"]}
        common = sorted(set(network.successors(row["source"])) & set(network.successors(row["target"])))
        if common and self.chance(0.7):
            body.units["u"] = self.rng.choice(common)
            body.lines.append(f"{{a, {image}}} -> u" if self.chance(0.5) else f"a -> u {image} -> u")
            return ["a", image]
        targets = [(self.group, key) for key in network.successors(row["source"])]
        targets = [pair for pair in targets if pair in maps and maps[pair]["target"] != pair[1]]
        if targets:
            pair = self.rng.choice(targets)
            body.units |= {"b": pair[1], f"{self.group_name}(b)": maps[pair]["target"]}
            body.lines += ["a -> b", f"{image} -> {self.group_name}(b)"]
            return ["a", image]
        body.lines.append(image)
        return ["a", image]

    def _orbit(self, body: Body, units: list[str]) -> list[str]:
        """Units that maps lead from one to the next, as far as they go."""
        maps = self.graphs.maps
        starts = [key for key in units if maps.get((self.group, key), {"target": key})["target"] != key]
        if not starts:
            return []
        keys = [self.rng.choice(starts)]
        names = ["a"]
        for name in "bcd":
            row = maps.get((self.group, keys[-1]))
            if row is None:
                break
            if row["target"] in keys:
                back = names[keys.index(row["target"])]
                body.lines.append(f"{back} = {self.group_name}({names[-1]})")
                break
            keys.append(row["target"])
            body.lines.append(f"{name} = {self.group_name}({names[-1]})")
            names.append(name)
        body.units |= dict(zip(names, keys, strict=True))
        return names

    def _equal_blocks(self, body: Body, sides: list[str]) -> None:
        """The same block for every side, or nearly the same for one of them."""
        edges = list(self.graphs.network.in_edges(body.units[sides[0]]))
        inward = bool(edges) and self.chance(0.7)
        quantity = self.rng.choice(("at least 1", "at least 0", "at most 2", "exactly 1"))
        where = self.rng.choice(("", "", " where share >= 0", " where x.depth >= 0"))
        group = self.group_name if self.chance(0.3) else ""
        for number, side in enumerate(sides):
            name = f"x{number}"
            asked = where.replace("x.", f"{name}.")
            if number and self.chance(0.15):
                asked = " where share > -1"
            edge = f"{name} -> {side}" if inward else f"{side} -> {name}"
            if group and "(" not in side:
                hub = next(iter(other for other in body.units if other not in sides and "(" not in other), sides[0])
                ends = f"g({side}) -> {hub}" if hub != side else f"g({side}) -> g({sides[-1]})"
                body.lines.append(f"for g in {group} at least {self.rng.choice((0, 1))} {{ {ends} }}")
            else:
                body.lines.append(f"{quantity} {name} {{ {edge}{asked} }}")
                body.counted.append(name)
