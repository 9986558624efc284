MATCH (a:Unit WHERE any(label IN coalesce(a.labels, []) WHERE label = $p1) AND any(label_2 IN coalesce(a.labels_folded, []) WHERE label_2 CONTAINS $p1))-[e:EXCITES|INHIBITS]->(b:Unit WHERE any(label_3 IN coalesce(b.labels, []) WHERE label_3 <> $p2) AND (NOT (coalesce(any(label_4 IN coalesce(b.labels, []) WHERE label_4 IN [$p3, $p4]), false))))-[e_2:EXCITES|INHIBITS]->(c:Unit WHERE size(coalesce(c.labels, [])) = 0)
WHERE any(label_5 IN coalesce(a.labels, []) WHERE any(label_6 IN coalesce(b.labels, []) WHERE label_5 = label_6)) OR any(label_7 IN coalesce(b.labels, []) WHERE label_7 >= $p5)
WITH a, b, c, e, e_2, reduce(best = e.share, value IN [e_2.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, a.model, a.position, b.position, c.position
LIMIT $p6
RETURN a.key AS u0, b.key AS u1, c.key AS u2, elementId(e) AS e0, elementId(e_2) AS e1, score
ORDER BY score DESC, a.model, a.position, b.position, c.position

// p1 = "curve"
// p2 = "dog"
// p3 = "car"
// p4 = "wheel"
// p5 = "d"
// p6 = 1001
