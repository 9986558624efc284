MATCH (a:Unit)-[e:EXCITES|INHIBITS]->(x:Unit)<-[e_6:EXCITES|INHIBITS]-(c:Unit)-[e_5:EXCITES|INHIBITS]->(z:Unit)<-[e_4:EXCITES|INHIBITS]-(b:Unit)-[e_3:EXCITES|INHIBITS]->(y:Unit)<-[e_2:EXCITES|INHIBITS]-(a)
WHERE a.position < b.position
  AND a.position < c.position
  AND x.position < y.position
  AND a <> z
  AND x <> b
  AND x <> z
  AND y <> z
  AND y <> c
  AND b <> c
WITH a, x, y, b, z, c, e, e_2, e_3, e_4, e_5, e_6, reduce(best = e.share, value IN [e_2.share, e_3.share, e_4.share, e_5.share, e_6.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, a.model, a.position, x.position, y.position, b.position, z.position, c.position
LIMIT $p1
RETURN a.key AS u0, x.key AS u1, y.key AS u2, b.key AS u3, z.key AS u4, c.key AS u5, elementId(e) AS e0, elementId(e_2) AS e1, elementId(e_3) AS e2, elementId(e_4) AS e3, elementId(e_5) AS e4, elementId(e_6) AS e5, score
ORDER BY score DESC, a.model, a.position, x.position, y.position, b.position, z.position, c.position

// p1 = 1001
