MATCH (a:Unit)-[e:EXCITES|INHIBITS]->(b:Unit)
WITH a, b, e, e.share AS score
ORDER BY a.model DESC, a.position DESC, b.position DESC
LIMIT $p1
RETURN a.key AS u0, b.key AS u1, elementId(e) AS e0, score
ORDER BY a.model DESC, a.position DESC, b.position DESC

// p1 = 4
