MATCH (a1:Unit)-[e:EXCITES]->(b1:Unit)<-[e_4:INHIBITS]-(a2:Unit)-[e_2:EXCITES]->(b2:Unit)<-[e_3:INHIBITS]-(a1),
      (b1)-[e_5:EXCITES]->(top:Unit)<-[e_6:EXCITES]-(b2)
WHERE a1.position < a2.position
WITH a1, b1, a2, b2, top, e, e_2, e_3, e_4, e_5, e_6, reduce(best = e.share, value IN [e_2.share, e_3.share, e_4.share, e_5.share, e_6.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, a1.model, a1.position, b1.position, a2.position, b2.position, top.position
LIMIT $p1
RETURN a1.key AS u0, b1.key AS u1, a2.key AS u2, b2.key AS u3, top.key AS u4, elementId(e) AS e0, elementId(e_2) AS e1, elementId(e_3) AS e2, elementId(e_4) AS e3, elementId(e_5) AS e4, elementId(e_6) AS e5, score
ORDER BY score DESC, a1.model, a1.position, b1.position, a2.position, b2.position, top.position

// p1 = 1001
