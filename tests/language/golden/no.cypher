MATCH (a:Unit)-[e:EXCITES]->(b:Unit)-[e_2:EXCITES]->(c:Unit)
WHERE NOT (EXISTS { MATCH (a)-[e_3:EXCITES|INHIBITS]->(c) })
WITH *, NOT (EXISTS { MATCH (other:Unit)-[e_4:EXCITES WHERE e_4.share > $p1]->(b), (other)-[e_5:EXCITES]->(c) WHERE other <> a AND other.layer = a.layer AND (NOT (EXISTS { MATCH (other)-[e_6:SKIP]->(c) })) }) AS holds
WHERE holds
WITH a, b, c, e, e_2, reduce(best = e.share, value IN [e_2.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, a.model, a.position, b.position, c.position
LIMIT $p2
RETURN a.key AS u0, b.key AS u1, c.key AS u2, elementId(e) AS e0, elementId(e_2) AS e1, score
ORDER BY score DESC, a.model, a.position, b.position, c.position

// p1 = 0.5
// p2 = 1001
