MATCH (a:Unit)-[e_2:EXCITES]->(c:Unit)<-[e_4:EXCITES]-(b:Unit)-[e_5:EXCITES]->(d:Unit)<-[e_3:EXCITES]-(a),
      (c)-[e_6:EXCITES|INHIBITS]->(e:Unit)
WHERE a.position < b.position
  AND c <> d
  AND d <> e
WITH a, b, c, d, e, e_2, e_3, e_4, e_5, e_6, reduce(best = e_2.share, value IN [e_3.share, e_4.share, e_5.share, e_6.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, a.model, a.position, b.position, c.position, d.position, e.position
LIMIT $p1
RETURN a.key AS u0, b.key AS u1, c.key AS u2, d.key AS u3, e.key AS u4, elementId(e_2) AS e0, elementId(e_3) AS e1, elementId(e_4) AS e2, elementId(e_5) AS e3, elementId(e_6) AS e4, score
ORDER BY score DESC, a.model, a.position, b.position, c.position, d.position, e.position

// p1 = 1001
