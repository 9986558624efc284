MATCH (a:Unit)-[e:EXCITES|INHIBITS]->(b:Unit)
WHERE false
WITH a, b, e, e.share AS score
ORDER BY score DESC, a.model, a.position, b.position
LIMIT $p1
RETURN a.key AS u0, b.key AS u1, elementId(e) AS e0, score
ORDER BY score DESC, a.model, a.position, b.position

// p1 = 1001
