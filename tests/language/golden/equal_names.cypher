MATCH (a:Unit)-[e:EXCITES WHERE e.weight > $p1]->(b:Unit)
WHERE NOT (EXISTS { MATCH (x:Unit)-[e_2:INHIBITS]->(b) })
WITH a, b, e, e.share AS score
ORDER BY score DESC, a.model, a.position, b.position
LIMIT $p2
RETURN a.key AS u0, b.key AS u1, elementId(e) AS e0, score
ORDER BY score DESC, a.model, a.position, b.position

// p1 = 0.25
// p2 = 1001
