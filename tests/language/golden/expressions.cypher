MATCH (a:Unit WHERE (a.`index` IN [$p1, $p2, $p3]) AND (NOT (coalesce(a.branch = $p4 OR (a.branch IS NULL), false))) AND (a.layer_folded CONTAINS $p6))-[e:EXCITES|INHIBITS WHERE ((e.dx IS NULL) OR e.dx < $p7) AND abs(e.weight) > $p8 AND e.rank_in <> $p9]->(b:Unit WHERE ((toFloat(b.mean) * $p3) - $p2) >= CASE WHEN (toFloat(b.`index`) + $p2) = 0 THEN null ELSE (-($p5)) / (toFloat(b.`index`) + $p2) END)-[f:EXCITES|INHIBITS]->(c:Unit)
WHERE a.key < c.key
  AND true
  AND true
  AND reduce(best = e.share, value IN [f.share, $p10] | CASE WHEN value > best THEN value ELSE best END) > reduce(best = e.share, value IN [f.share] | CASE WHEN value < best THEN value ELSE best END)
  AND CASE WHEN e.weight < 0 THEN -1 ELSE 1 END = sign(f.weight)
WITH a, b, c, e, f, CASE WHEN $p3 = 0 THEN null ELSE (e.share + f.share) / $p3 END + 0 AS score
ORDER BY score IS NULL, score DESC, a.model, a.position, b.position, c.position
LIMIT $p11
RETURN a.key AS u0, b.key AS u1, c.key AS u2, elementId(e) AS e0, elementId(f) AS e1, score
ORDER BY score IS NULL, score DESC, a.model, a.position, b.position, c.position

// p1 = 0.0
// p2 = 1.0
// p3 = 2.0
// p4 = "5x5"
// p5 = 0.5
// p6 = "mixed"
// p7 = 10.0
// p8 = 0.1
// p9 = 3.0
// p10 = 0.2
// p11 = 1001
