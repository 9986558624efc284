MATCH (a:Unit)-[e:EXCITES|INHIBITS WHERE e.share > $p1]->(b:Unit)<-[e_3:EXCITES|INHIBITS WHERE e_3.share > $p1]-(m_q:Unit)<-[e_2:EXCITES|INHIBITS WHERE e_2.rank_in <= $p2 AND e_2.share > $p1]-(m_p:Unit),
      (a)-[e_4:SKIP WHERE e_4.share > $p1]->(c:Unit)
WHERE a <> m_p
  AND a <> m_q
  AND b <> c
  AND m_p <> c
  AND m_q <> c
  AND (NOT (EXISTS { MATCH (b)-[e_5:INHIBITS WHERE e_5.share > $p3]->(y:Unit) WHERE y <> c }))
  AND EXISTS { MATCH (b)-[e_6:EXCITES|INHIBITS WHERE e_6.weight > $p4 AND e_6.share > $p1]->(x:Unit) WHERE x <> c }
WITH a, b, m_p, m_q, c, e, e_2, e_3, e_4, reduce(best = e.share, value IN [e_2.share, e_3.share, e_4.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, a.model, a.position, b.position, m_p.position, m_q.position, c.position
LIMIT $p5
RETURN a.key AS u0, b.key AS u1, m_p.key AS u2, m_q.key AS u3, c.key AS u4, elementId(e) AS e0, elementId(e_2) AS e1, elementId(e_3) AS e2, elementId(e_4) AS e3, COLLECT { MATCH (b)-[e_7:EXCITES|INHIBITS WHERE e_7.weight > $p4 AND e_7.share > $p1]->(x_2:Unit) WHERE x_2 <> c WITH DISTINCT x_2 RETURN x_2.key AS unit_key ORDER BY x_2.model, x_2.position } AS l0, score
ORDER BY score DESC, a.model, a.position, b.position, m_p.position, m_q.position, c.position

// p1 = 0.01
// p2 = 4.0
// p3 = 0.2
// p4 = 0.0
// p5 = 1001
