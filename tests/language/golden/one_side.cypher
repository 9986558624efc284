MATCH (left:Unit WHERE left.layer = $p1)-[e:EXCITES]->(top:Unit)<-[e_2:EXCITES]-(right:Unit)
WHERE left <> right
  AND (NOT (EXISTS { MATCH (right)-[e_3:INHIBITS]->(other:Unit) WHERE other <> left }))
  AND (NOT (right.position < left.position AND coalesce(right.layer = $p1 AND (NOT (EXISTS { MATCH (left)-[e_4:INHIBITS]->(other_2:Unit) WHERE other_2 <> right })), false)))
WITH left, right, top, e, e_2, reduce(best = e.share, value IN [e_2.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, left.model, left.position, right.position, top.position
LIMIT $p2
RETURN left.key AS u0, right.key AS u1, top.key AS u2, elementId(e) AS e0, elementId(e_2) AS e1, score
ORDER BY score DESC, left.model, left.position, right.position, top.position

// p1 = "mixed3b"
// p2 = 1001
