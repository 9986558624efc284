MATCH (a:Unit)-[e:EXCITES|INHIBITS]->(b:Unit)-[map_2:MAPS_TO WHERE map_2.map = $p1]->(T_b:Unit)<-[f:EXCITES|INHIBITS]-(T_a:Unit)<-[map:MAPS_TO WHERE map.map = $p1]-(a)
WHERE a <> T_a
  AND a <> T_b
  AND b <> T_a
  AND b <> T_b
  AND $agreement1[elementId(e) + elementId(f)] > $p2
WITH a, b, T_a, T_b, e, f, map, map_2, reduce(best = e.share, value IN [f.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, a.model, a.position, b.position, T_a.position, T_b.position
LIMIT $p3
RETURN a.key AS u0, b.key AS u1, T_a.key AS u2, T_b.key AS u3, elementId(e) AS e0, elementId(f) AS e1, score
ORDER BY score DESC, a.model, a.position, b.position, T_a.position, T_b.position

// p1 = "rotate(90)"
// p2 = 0.7
// p3 = 1001
// agreement1: Agreement(left='e', left_maps=('rotate(90)',), right='f', right_maps=())
