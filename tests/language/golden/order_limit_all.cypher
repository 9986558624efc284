MATCH (a:Unit WHERE a.model = $p1)-[e:INHIBITS WHERE e.share > $p2]->(c:Unit)<-[e_2:INHIBITS WHERE e_2.share > $p2]-(b:Unit)
WHERE a <> b
  AND (a.`index` < $p3 OR b.layer <> $p4)
WITH a, b, c, e, e_2, reduce(best = e.share, value IN [e_2.share] | CASE WHEN value < best THEN value ELSE best END) AS score, (toFloat(a.depth) + toFloat(b.depth)) + 0 AS ranking
ORDER BY ranking DESC, a.position, b.position, c.position
LIMIT $p5
RETURN a.key AS u0, b.key AS u1, c.key AS u2, elementId(e) AS e0, elementId(e_2) AS e1, score
ORDER BY ranking DESC, a.position, b.position, c.position

// p1 = "inceptionv1"
// p2 = 0.1
// p3 = 5.0
// p4 = "mixed3b"
// p5 = 8
