MATCH (a:Unit)-[e:EXCITES|INHIBITS]->(b:Unit)-[e_2:EXCITES|INHIBITS]->(c:Unit)<-[e_3:SKIP]-(a)
WHERE (e.share + e_2.share + e_3.share) > $p1
  AND (0 + CASE WHEN coalesce(e.share > $p2, false) THEN 1 ELSE 0 END + CASE WHEN coalesce(e_2.share > $p2, false) THEN 1 ELSE 0 END + CASE WHEN coalesce(e_3.share > $p2, false) THEN 1 ELSE 0 END) >= $p3
  AND 3 = $p4
WITH a, b, c, e, e_2, e_3, (reduce(best = e.share, value IN [e_2.share, e_3.share] | CASE WHEN value < best THEN value ELSE best END) * reduce(best = abs(e.weight), value IN [abs(e_2.weight), abs(e_3.weight)] | CASE WHEN value > best THEN value ELSE best END)) + 0 AS score, ((e.strength * e.strength) + (e_2.strength * e_2.strength) + (e_3.strength * e_3.strength)) + 0 AS ranking
ORDER BY ranking, a.model, a.position, b.position, c.position
LIMIT $p5
RETURN a.key AS u0, b.key AS u1, c.key AS u2, elementId(e) AS e0, elementId(e_2) AS e1, elementId(e_3) AS e2, score
ORDER BY ranking, a.model, a.position, b.position, c.position

// p1 = 0.1
// p2 = 0.2
// p3 = 1.0
// p4 = 3.0
// p5 = 1001
