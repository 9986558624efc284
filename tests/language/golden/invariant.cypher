MATCH (a:Unit)-[e:EXCITES|INHIBITS]->(x:Unit)<-[e_2:EXCITES|INHIBITS]-(flip_a:Unit)<-[map:MAPS_TO WHERE map.map = $p1]-(a),
      (x)-[map_2:MAPS_TO WHERE map_2.map = $p1 AND map_2.score > $p2]->(x)
WHERE a <> flip_a
  AND (NOT (flip_a.position < a.position AND EXISTS { MATCH (flip_a)-[map_3:MAPS_TO WHERE map_3.map = $p1]->(a), (x)-[map_4:MAPS_TO WHERE map_4.map = $p1]->(x) }))
WITH a, x, flip_a, e, e_2, map, map_2, reduce(best = e.share, value IN [e_2.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, a.model, a.position, x.position, flip_a.position
LIMIT $p3
RETURN a.key AS u0, x.key AS u1, flip_a.key AS u2, elementId(e) AS e0, elementId(e_2) AS e1, score
ORDER BY score DESC, a.model, a.position, x.position, flip_a.position

// p1 = "flip"
// p2 = 0.7
// p3 = 1001
