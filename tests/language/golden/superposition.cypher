MATCH (pure:Unit WHERE any(label IN coalesce(pure.labels_folded, []) WHERE label CONTAINS $p1))
WHERE (NOT (EXISTS { MATCH (pure)-[e:EXCITES WHERE e.rank_in = $p2]->(heir:Unit) }))
  AND EXISTS { MATCH (pure)-[e_2:EXCITES WHERE e_2.share > $p3]->(host:Unit)<-[o:EXCITES WHERE o.rank_in = $p2]-(other:Unit WHERE NOT (coalesce(any(label_2 IN coalesce(other.labels_folded, []) WHERE label_2 CONTAINS $p1), false))) WHERE other <> pure }
WITH pure, null AS score
ORDER BY pure.model, pure.position
LIMIT $p4
RETURN pure.key AS u0, COLLECT { MATCH (pure)-[e_3:EXCITES WHERE e_3.share > $p3]->(host_2:Unit)<-[o_2:EXCITES WHERE o_2.rank_in = $p2]-(other_2:Unit WHERE NOT (coalesce(any(label_3 IN coalesce(other_2.labels_folded, []) WHERE label_3 CONTAINS $p1), false))) WHERE other_2 <> pure WITH DISTINCT host_2 RETURN host_2.key AS unit_key ORDER BY host_2.model, host_2.position } AS l0, score
ORDER BY pure.model, pure.position

// p1 = "curve"
// p2 = 1.0
// p3 = 0.02
// p4 = 1001
