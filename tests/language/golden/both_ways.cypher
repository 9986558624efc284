MATCH (a:Unit)-[e:EXCITES|INHIBITS]->(c:Unit)<-[e_2:EXCITES|INHIBITS]-(b:Unit)<-[map:MAPS_TO WHERE map.map = $p1]-(a)<-[map_2:MAPS_TO WHERE map_2.map = $p2]-(b)
WHERE b <> a
WITH b, a, c, e, e_2, map, map_2, reduce(best = e.share, value IN [e_2.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, b.model, b.position, a.position, c.position
LIMIT $p3
RETURN b.key AS u0, a.key AS u1, c.key AS u2, elementId(e) AS e0, elementId(e_2) AS e1, score
ORDER BY score DESC, b.model, b.position, a.position, c.position

// p1 = "rotate(90)"
// p2 = "rotate(270)"
// p3 = 1001
