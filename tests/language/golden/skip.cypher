MATCH (a:Unit)-[s:SKIP WHERE s.weight < $p1]->(b:Unit)<-[e:EXCITES|INHIBITS]-(a)
WHERE CASE WHEN s.weight < 0 THEN -1 ELSE 1 END <> CASE WHEN e.weight < 0 THEN -1 ELSE 1 END
  AND (NOT (EXISTS { MATCH (b)-[e_2:SKIP]->(c:Unit) }))
WITH a, b, s, e, reduce(best = s.share, value IN [e.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, a.model, a.position, b.position
LIMIT $p2
RETURN a.key AS u0, b.key AS u1, elementId(s) AS e0, elementId(e) AS e1, score
ORDER BY score DESC, a.model, a.position, b.position

// p1 = 0.0
// p2 = 1001
