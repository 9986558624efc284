MATCH (a:Unit)-[e:EXCITES]->(d:Unit)<-[e_2:EXCITES]-(b:Unit),
      (c:Unit)-[e_3:EXCITES]->(d)
WHERE a.position < b.position
  AND a.position < c.position
  AND b.position < c.position
WITH a, b, c, d, e, e_2, e_3, reduce(best = e.share, value IN [e_2.share, e_3.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, a.model, a.position, b.position, c.position, d.position
LIMIT $p1
RETURN a.key AS u0, b.key AS u1, c.key AS u2, d.key AS u3, elementId(e) AS e0, elementId(e_2) AS e1, elementId(e_3) AS e2, score
ORDER BY score DESC, a.model, a.position, b.position, c.position, d.position

// p1 = 6
