MATCH (a:Unit)-[e:EXCITES|INHIBITS]->(h:Unit)<-[e_2:EXCITES|INHIBITS]-(b:Unit)
WHERE a <> b
  AND COUNT { MATCH (a)-[e_3:EXCITES|INHIBITS]->(x:Unit) WHERE x <> b AND x <> h RETURN DISTINCT x } > COUNT { MATCH (b)-[e_4:EXCITES|INHIBITS]->(y:Unit) WHERE y <> a AND y <> h RETURN DISTINCT y }
  AND EXISTS { MATCH (a)-[e_5:EXCITES|INHIBITS]->(x_2:Unit) WHERE x_2 <> b AND x_2 <> h }
  AND EXISTS { MATCH (b)-[e_6:EXCITES|INHIBITS]->(y_2:Unit) WHERE y_2 <> a AND y_2 <> h }
  AND (NOT (b.position < a.position AND coalesce(COUNT { MATCH (b)-[e_7:EXCITES|INHIBITS]->(x_3:Unit) WHERE x_3 <> a AND x_3 <> h RETURN DISTINCT x_3 } > COUNT { MATCH (a)-[e_8:EXCITES|INHIBITS]->(y_3:Unit) WHERE y_3 <> b AND y_3 <> h RETURN DISTINCT y_3 } AND EXISTS { MATCH (b)-[e_9:EXCITES|INHIBITS]->(x_4:Unit) WHERE x_4 <> a AND x_4 <> h } AND EXISTS { MATCH (a)-[e_10:EXCITES|INHIBITS]->(y_4:Unit) WHERE y_4 <> b AND y_4 <> h }, false)))
WITH a, b, h, e, e_2, reduce(best = e.share, value IN [e_2.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, a.model, a.position, b.position, h.position
LIMIT $p1
RETURN a.key AS u0, b.key AS u1, h.key AS u2, elementId(e) AS e0, elementId(e_2) AS e1, COLLECT { MATCH (a)-[e_11:EXCITES|INHIBITS]->(x_5:Unit) WHERE x_5 <> b AND x_5 <> h WITH DISTINCT x_5 RETURN x_5.key AS unit_key ORDER BY x_5.model, x_5.position } AS l0, COLLECT { MATCH (b)-[e_12:EXCITES|INHIBITS]->(y_5:Unit) WHERE y_5 <> a AND y_5 <> h WITH DISTINCT y_5 RETURN y_5.key AS unit_key ORDER BY y_5.model, y_5.position } AS l1, score
ORDER BY score DESC, a.model, a.position, b.position, h.position

// p1 = 1001
