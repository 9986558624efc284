MATCH (a:Unit WHERE any(label IN coalesce(a.labels, []) WHERE label = $p1))-[e:EXCITES|INHIBITS WHERE e.weight > $p4]->(b:Unit)
WHERE (a.layer_folded CONTAINS $p2) OR any(label_2 IN coalesce(b.labels_folded, []) WHERE label_2 CONTAINS $p3)
WITH a, b, e, e.share AS score
ORDER BY score DESC, a.model, a.position, b.position
LIMIT $p5
RETURN a.key AS u0, b.key AS u1, elementId(e) AS e0, score
ORDER BY score DESC, a.model, a.position, b.position

// p1 = "'; DROP TABLE edge; -- \" ` \\ \u0000 \n $p1 }) RETURN 1 //"
// p2 = "%_.*"
// p3 = "strasse"
// p4 = 0.0
// p5 = 1001
