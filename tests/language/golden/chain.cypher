MATCH (a:Unit WHERE a.model IN [$p1, $p2])-[e:EXCITES WHERE e.share > $p3]->(b:Unit)-[e_2:INHIBITS WHERE e_2.share > $p3]->(c:Unit)-[e_3:EXCITES|INHIBITS WHERE e_3.share > $p3]->(d:Unit WHERE d.model IN [$p1, $p2])
WITH a, b, c, d, e, e_2, e_3, reduce(best = e.share, value IN [e_2.share, e_3.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, a.model, a.position, b.position, c.position, d.position
LIMIT $p4
RETURN a.key AS u0, b.key AS u1, c.key AS u2, d.key AS u3, elementId(e) AS e0, elementId(e_2) AS e1, elementId(e_3) AS e2, score
ORDER BY score DESC, a.model, a.position, b.position, c.position, d.position

// p1 = "alexnet"
// p2 = "inceptionv1"
// p3 = 0.01
// p4 = 1001
