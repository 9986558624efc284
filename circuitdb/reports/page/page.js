"use strict";
// Fills the page from the data in it: lists of circuits and units, and a page for every unit. Text enters as text only.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { circuits, units, kernels, pictures, levels } = data;
  const SVG = "http://www.w3.org/2000/svg";
  const RED = "#b2182b", BLUE = "#2166ac", FAINT = "#b5b5b5";
  const EDGE = { source: 0, target: 1, kind: 2, weight: 3, share: 4, strength: 5, rank_in: 6, rank_out: 7, coherence: 8, kernel: 9, largest: 10 };
  const STEP = 20;
  const SHRINKS = 530; // pixels: a drawing no wider is shrunk to a phone, a wider one is scrolled there

  const short = (key) => key.slice(key.indexOf("/") + 1);
  const number = (value, digits = 3) => (value === null || value === undefined ? "" : String(Number(value.toPrecision(digits))));
  const percent = (value) => (value === null || value === undefined ? "" : `${(100 * value).toFixed(value < 0.0995 ? 1 : 0)} %`);
  const keysOf = (circuit) => [...new Set(Object.values(circuit.units).flat())];
  const labelOf = (key) => (units[key] && units[key].labels.length ? units[key].labels[0][0] : "");

  function make(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === true) made.setAttribute(name, "");
      else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  function draw(tag, attributes, ...children) {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  // --- parts that drawings use: kernels and pictures, made when first asked for --------------------------------------

  const parts = document.getElementById("parts");
  const have = new Set();

  function kernelPart(name) {
    const [width, height, text] = kernels[name];
    const half = (levels.length - 1) / 2;
    const cells = new Map(), bars = new Map();
    for (let y = 0; y < height; y++) {
      const row = Array.from({ length: width }, (_, x) => levels.indexOf(text[y * width + x]) - half);
      let start = 0;
      row.forEach((level, x) => {
        if (x + 1 === width || row[x + 1] !== level) {
          if (level) cells.set(level, (cells.get(level) || "") + `M${start} ${y}h${x + 1 - start}v1h${start - x - 1}z`);
          start = x + 1;
        }
        if (level <= -0.4 * half) {
          const strong = level <= -0.6 * half;
          bars.set(strong, (bars.get(strong) || "") + `M${x + 0.22} ${y + 0.5}h.56`);
        }
      });
    }
    const group = draw("g", { id: name });
    for (const level of [...cells.keys()].sort((a, b) => a - b)) {
      group.append(draw("path", { d: cells.get(level), fill: level > 0 ? RED : BLUE, "fill-opacity": Math.abs(level) / half, "shape-rendering": "crispEdges" }));
    }
    for (const strong of [...bars.keys()].sort()) group.append(draw("path", { d: bars.get(strong), stroke: strong ? "#fff" : "#08306b", "stroke-width": 0.16 }));
    return group;
  }

  function need(name) {
    if (have.has(name)) return;
    have.add(name);
    if (kernels[name]) parts.append(kernelPart(name));
    else if (pictures[name]) {
      parts.append(draw("image", { id: name, width: 1, height: 1, preserveAspectRatio: "xMidYMid slice", href: `data:image/png;base64,${pictures[name]}` }));
    }
  }

  const isWide = (drawing) => Number(drawing.getAttribute("width")) > SHRINKS;

  function figure(body, label) {
    const root = new DOMParser().parseFromString(body, "image/svg+xml").documentElement;
    root.querySelectorAll("use").forEach((use) => need(use.getAttribute("href").slice(1)));
    const kind = isWide(root) ? "figure wide" : "figure";
    return make("div", { class: kind, tabindex: "0", role: "group", "aria-label": label }, document.importNode(root, true));
  }

  function kernelPicture(edge, scale, side) {
    const name = edge[EDGE.kernel];
    if (!name) return "";
    need(name);
    const [width, height] = kernels[name];
    const cell = Math.min(side / Math.max(width, height), 18);
    const opacity = Math.sqrt(Math.min(1, edge[EDGE.largest] / scale));
    return draw("svg", { width: cell * width + 1, height: cell * height + 1, "aria-hidden": "true" },
      draw("use", { href: `#${name}`, transform: `translate(.5 .5) scale(${cell})`, opacity }),
      draw("rect", { x: 0.5, y: 0.5, width: cell * width, height: cell * height, fill: "none", stroke: FAINT }));
  }

  // --- tables --------------------------------------------------------------------------------------------------------

  function table(columns, rows, caption) {
    const head = make("tr", {}, ...columns.map((c) => make("th", { scope: "col", class: c.number ? "number" : null }, c.name)));
    const body = rows.map((row) => make("tr", {}, ...columns.map((c) => make("td", { class: c.number ? "number" : null }, c.of(row)))));
    return make("table", {}, make("caption", {}, make("span", {}, caption)), make("thead", {}, head), make("tbody", {}, ...body));
  }

  const unitLink = (key, text) => (units[key] ? make("a", { href: `#unit=${encodeURIComponent(key)}` }, text || short(key)) : text || short(key));
  const verb = (edge) => (edge[EDGE.kind] === "SKIP" ? "skips to" : edge[EDGE.kind] === "INHIBITS" ? "inhibits" : "excites");

  function edgeTable(edges) {
    const columns = [
      { name: "from", of: (e) => unitLink(e[EDGE.source]) },
      { name: "does", of: verb },
      { name: "to", of: (e) => unitLink(e[EDGE.target]) },
      ...["weight", "strength", "coherence"].map((name) => ({ name, number: true, of: (e) => number(e[EDGE[name]]) })),
      { name: "share", number: true, of: (e) => percent(e[EDGE.share]) },
      { name: "rank among inputs", number: true, of: (e) => number(e[EDGE.rank_in]) },
      { name: "rank among outputs", number: true, of: (e) => number(e[EDGE.rank_out]) },
    ];
    return make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Edges" }, table(columns, edges, `${edges.length} edges`));
  }

  // --- the list of circuits ------------------------------------------------------------------------------------------

  function namesOf(circuit) {
    const listed = Object.entries(circuit.units).map(([name, unit]) => {
      const links = [unit].flat().flatMap((key, place) => [...(place ? [", "] : []), unitLink(key)]);
      return make("span", {}, make("b", {}, name), " ", ...links);
    });
    return make("p", { class: "names" }, ...listed);
  }

  // In sections the circuits of a group are one circuit in several networks; numbers begin anew in every section.
  const several = new Set(circuits.map((c) => c.model)).size > 1;
  const called = circuits.map((_, n) => `Circuit ${n + 1}`), section = circuits.map(() => "");
  const places = [...document.querySelectorAll("[data-circuits]")].map((place) => [place, JSON.parse(place.dataset.circuits)]);
  for (const [place, groups] of places) {
    groups.forEach((group, number_) => group.forEach((n) => {
      called[n] = groups.length > 1 ? `Circuit ${number_ + 1}` : "Circuit";
      section[n] = place.closest("section").querySelector("h2").textContent;
    }));
  }

  function card(circuit) {
    const place = circuits.indexOf(circuit);
    const heading = make("h3", {}, called[place],
      make("span", { class: "score" }, [several ? circuit.model : "", circuit.score === null ? "" : `score ${number(circuit.score)}`].filter(Boolean).join(" · ")));
    const edges = make("details", {}, make("summary", {}, "Edges with numbers"));
    edges.addEventListener("toggle", () => { if (edges.open && edges.children.length === 1) edges.append(edgeTable(circuit.edges)); });
    return make("article", { id: `circuit-${place + 1}` }, heading, namesOf(circuit), drawingOf(place), edges);
  }

  function drawingOf(place) {
    const { body, model } = circuits[place];
    return body ? figure(body, `Drawing of ${called[place].toLowerCase()}${several ? ` in ${model}` : ""}`) : "";
  }

  const texts = circuits.map((circuit) =>
    [circuit.model, ...keysOf(circuit).flatMap((key) => [key, ...((units[key] || { labels: [] }).labels.map((l) => l[0]))])].join("\n").toLowerCase());

  const orders = {
    rank: () => 0,
    score: (a, b) => (b.score ?? -Infinity) - (a.score ?? -Infinity),
    unit: (a, b) => keysOf(a)[0].localeCompare(keysOf(b)[0], "en", { numeric: true }),
    model: (a, b) => a.model.localeCompare(b.model, "en"),
    edges: (a, b) => b.edges.length - a.edges.length,
  };

  function listCircuits() {
    const list = document.getElementById("list"), more = document.getElementById("more"), said = document.getElementById("shown");
    const filter = document.getElementById("filter"), sort = document.getElementById("sort"), reverse = document.getElementById("reverse");
    let chosen = [], shown = 0;

    function extend(count) {
      const next = chosen.slice(shown, shown + count);
      list.append(...next.map(card));
      shown += next.length;
      more.hidden = shown >= chosen.length;
      const all = chosen.length === circuits.length ? "" : ` of ${circuits.length}`;
      said.textContent = `${shown} of ${chosen.length}${chosen.length === circuits.length ? "" : " that fit"} shown${all ? `, ${circuits.length} in all` : ""}`;
    }
    function again() {
      const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      chosen = circuits.filter((_, place) => words.every((word) => texts[place].includes(word))).sort(orders[sort.value]);
      if (reverse.checked) chosen.reverse();
      list.replaceChildren();
      shown = 0;
      extend(STEP);
    }
    filter.addEventListener("input", again);
    sort.addEventListener("change", again);
    reverse.addEventListener("change", again);
    document.getElementById("controls").addEventListener("submit", (event) => event.preventDefault());
    more.addEventListener("click", () => {
      const before = list.lastElementChild;
      extend(STEP);
      const first = before && before.nextElementSibling && before.nextElementSibling.querySelector("a, .figure");
      if (first) first.focus({ preventScroll: true });
    });
    again();
  }

  // --- circuits that stand in sections, those of a group side by side --------------------------------------------------

  function drawGroups() {
    for (const [place, groups] of places) {
      place.append(...groups.map((group) => (group.length === 1 ? card(circuits[group[0]]) : make("div", { class: "beside" }, ...group.map((n) => card(circuits[n]))))));
    }
  }

  // --- the table of units --------------------------------------------------------------------------------------------

  function listUnits() {
    const counts = new Map();
    circuits.forEach((circuit) => keysOf(circuit).forEach((key) => counts.set(key, (counts.get(key) || 0) + 1)));
    const columns = [
      { name: "unit", of: (key) => key, cell: (key) => unitLink(key, key) },
      { name: "label", of: labelOf },
      { name: "circuits", number: true, of: (key) => counts.get(key) || 0 },
      { name: "input kept", number: true, of: (key) => units[key].facts.energy_kept_in ?? null, cell: (key) => percent(units[key].facts.energy_kept_in) },
    ].filter((column) => Object.keys(units).some((key) => column.of(key) !== "" && column.of(key) !== null));
    const rows = Object.keys(units);
    const element = document.getElementById("unit-table"), more = document.getElementById("more-units");
    let by = columns.findIndex((c) => c.name === "circuits"), down = true, most = 50;

    function show() {
      const column = columns[by];
      const compare = column.number ? (a, b) => (column.of(a) ?? -1) - (column.of(b) ?? -1) : (a, b) => column.of(a).localeCompare(column.of(b), "en", { numeric: true });
      rows.sort((a, b) => (down ? -1 : 1) * compare(a, b));
      element.tBodies[0].replaceChildren(...rows.slice(0, most).map((key) => make("tr", {}, ...columns.map((c) => make("td", { class: c.number ? "number" : null }, c.cell ? c.cell(key) : String(c.of(key)))))));
      [...element.tHead.rows[0].cells].forEach((cell, place) => {
        if (place === by) cell.setAttribute("aria-sort", down ? "descending" : "ascending");
        else cell.removeAttribute("aria-sort");
        cell.firstChild.textContent = columns[place].name + (place === by ? (down ? " ▾" : " ▴") : "");
      });
      more.hidden = rows.length <= most;
    }
    element.tHead.append(make("tr", {}, ...columns.map((column, place) => {
      const button = make("button", { type: "button" }, column.name);
      button.addEventListener("click", () => { down = place === by ? !down : Boolean(column.number); by = place; show(); });
      return make("th", { scope: "col", class: column.number ? "number" : null }, button);
    })));
    more.addEventListener("click", () => { most = rows.length; show(); });
    show();
  }

  // --- a unit's page -------------------------------------------------------------------------------------------------

  function strip(edges, end) {
    const scale = Math.max(...edges.map((edge) => edge[EDGE.largest] || 0)) || 1;
    return make("ul", { class: "edges" }, ...edges.map((edge) => {
      const other = edge[EDGE[end]];
      const label = labelOf(other);
      return make("li", {}, kernelPicture(edge, scale, 84), unitLink(other), label ? make("div", { class: "label" }, label) : "",
        make("div", {}, `${verb(edge) === "skips to" ? "skip" : edge[EDGE.weight] < 0 ? "inhibits" : "excites"} ${percent(edge[EDGE.share])}`),
        make("div", { class: "label" }, `weight ${number(edge[EDGE.weight])}`));
    }));
  }

  function unitPage(key, place) {
    const unit = units[key];
    const content = [];
    if (data.kind !== "unit") content.push(make("p", {}, make("a", { href: "#overview" }, "← The whole page")), make("h2", { tabindex: "-1" }, key));
    if (unit.labels.length) content.push(make("p", {}, ...unit.labels.flatMap(([label, source], n) => [n ? "; " : "", make("b", {}, label), source ? ` (${source})` : ""])));
    const facts = Object.entries(unit.facts).map(([name, value]) => make("div", {}, make("dt", {}, name.replaceAll("_", " ")), make("dd", {}, typeof value === "number" ? number(value, 4) : String(value))));
    if (facts.length) content.push(make("dl", { class: "facts" }, ...facts));
    if (unit.crops.length) {
      content.push(make("h3", {}, "What drives it most"), make("ul", { class: "crops" }, ...unit.crops.map((crop) => make("li", {}, make("figure", {},
        make("img", { src: `data:image/png;base64,${pictures[crop.picture]}`, alt: `part of ${crop.of}`, loading: "lazy" }),
        make("figcaption", {}, number(crop.value)))))));
    }
    for (const [title, edges, end] of [["Strongest inputs", unit.inputs, "source"], ["Strongest outputs", unit.outputs, "target"]]) {
      content.push(make("h3", {}, title), edges.length ? strip(edges, end) : make("p", {}, "none kept"));
      if (edges.length) content.push(make("details", {}, make("summary", {}, `${title.split(" ")[1][0].toUpperCase()}${title.split(" ")[1].slice(1)} with numbers`), edgeTable(edges)));
    }
    const lists = [
      ["Maps", unit.maps.map(([map, target, score, mutual]) => make("li", {}, `${map}: `, target === key ? "itself" : unitLink(target), score === null ? "" : ` (score ${number(score)}${mutual ? ", mutual" : ""})`))],
      ["Families", unit.families.map(([group, pose, members]) => make("li", {}, `${group}, pose ${pose}: `, ...members.flatMap(([member, at], n) => [n ? ", " : "", unitLink(member), ` ${at}`])))],
      ["Analogues in other networks", unit.analogues.map(([target, score]) => make("li", {}, unitLink(target, target), score === null ? "" : ` (score ${number(score)})`))],
    ];
    for (const [title, items] of lists) if (items.length) content.push(make("h3", {}, title), make("ul", {}, ...items));
    if (data.kind !== "unit") {
      const holding = circuits.map((circuit, n) => [circuit, n]).filter(([circuit]) => keysOf(circuit).includes(key));
      content.push(make("h3", {}, `In ${holding.length} circuit${holding.length === 1 ? "" : "s"} here`));
      content.push(...holding.slice(0, 5).map(([circuit, n]) => make("div", {}, make("p", { class: "names" }, make("b", {}, [called[n], section[n], several ? circuit.model : ""].filter(Boolean).join(" · "))), namesOf(circuit), drawingOf(n))));
      if (holding.length > 5) content.push(make("p", {}, `and ${holding.length - 5} more`));
    }
    place.replaceChildren(...content);
  }

  document.querySelectorAll(".figure > svg").forEach((drawing) => drawing.parentNode.classList.toggle("wide", isWide(drawing)));
  const page = document.getElementById("unit-page");
  if (data.kind === "unit") {
    unitPage(Object.keys(units)[0], page);
    return;
  }
  const overview = document.getElementById("overview");
  let left = 0;
  function route() {
    const asked = location.hash.startsWith("#unit=") ? decodeURIComponent(location.hash.slice(6)) : null;
    const key = asked !== null && Object.hasOwn(units, asked) ? asked : null;
    if (key !== null) {
      if (page.hidden) left = window.scrollY;
      unitPage(key, page);
      overview.hidden = true;
      page.hidden = false;
      page.querySelector("h2").focus({ preventScroll: true });
      window.scrollTo({ top: 0, behavior: "instant" });
    } else if (!page.hidden) {
      page.hidden = true;
      page.replaceChildren();
      overview.hidden = false;
      if (location.hash === "#overview" || location.hash === "") window.scrollTo({ top: left, behavior: "instant" });
      else document.getElementById(location.hash.slice(1))?.scrollIntoView();
    }
  }
  window.addEventListener("hashchange", route);
  if (data.kind === "circuits") listCircuits();
  else drawGroups();
  if (circuits.length || data.kind === "circuits") listUnits();
  route();
  if (page.hidden && location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView({ behavior: "instant" });
})();
