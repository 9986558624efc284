MATCH (a:Unit)-[e:EXCITES|INHIBITS]->(b:Unit)-[e_3:EXCITES|INHIBITS]->(c:Unit)<-[e_2:EXCITES|INHIBITS]-(a)
WITH a, b, c, e, e_2, e_3, reduce(best = e.share, value IN [e_2.share, e_3.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, a.model, a.position, b.position, c.position
LIMIT $p1
RETURN a.key AS u0, b.key AS u1, c.key AS u2, elementId(e) AS e0, elementId(e_2) AS e1, elementId(e_3) AS e2, score
ORDER BY score DESC, a.model, a.position, b.position, c.position

// p1 = 1001
