MATCH (a:Unit WHERE (a.layer IN [$p3, $p4]) AND (false OR a.layer = $p3))-[e:EXCITES|INHIBITS WHERE e.weight > $p5]->(b:Unit)<-[e_2:EXCITES|INHIBITS]-(T_a:Unit)<-[map:MAPS_TO WHERE map.map = $p1]-(a)-[map_2:MAPS_TO WHERE map_2.map = $p2]->(negate_a:Unit)-[e_3:EXCITES|INHIBITS]->(b)
WHERE a <> T_a
  AND a <> negate_a
  AND T_a <> negate_a
WITH a, b, T_a, negate_a, e, e_2, e_3, map, map_2, reduce(best = e.share, value IN [e_2.share, e_3.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, a.model, a.position, b.position, T_a.position, negate_a.position
LIMIT $p6
RETURN a.key AS u0, b.key AS u1, T_a.key AS u2, negate_a.key AS u3, elementId(e) AS e0, elementId(e_2) AS e1, elementId(e_3) AS e2, score
ORDER BY score DESC, a.model, a.position, b.position, T_a.position, negate_a.position

// p1 = "flip"
// p2 = "negate"
// p3 = "mixed3b"
// p4 = "mixed4a"
// p5 = -0.5
// p6 = 1001
