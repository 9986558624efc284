MATCH (stem:Unit WHERE any(label IN coalesce(stem.labels_folded, []) WHERE label CONTAINS $p1))
WHERE COUNT { MATCH (stem)-[e:EXCITES]->(branch:Unit) RETURN DISTINCT branch } >= $p2
WITH stem, null AS score
ORDER BY stem.model, stem.position
LIMIT $p3
RETURN stem.key AS u0, COLLECT { MATCH (stem)-[e_2:EXCITES]->(branch_2:Unit) WITH DISTINCT branch_2 RETURN branch_2.key AS unit_key ORDER BY branch_2.model, branch_2.position } AS l0, score
ORDER BY stem.model, stem.position

// p1 = "curve"
// p2 = 2
// p3 = 1001
