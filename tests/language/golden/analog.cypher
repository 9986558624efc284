MATCH (a:Unit WHERE a.model = $p3)-[e:EXCITES]->(b:Unit WHERE b.model = $p3)-[analog_2:ANALOGOUS_TO WHERE analog_2.rank <= $p2]->(analog_b_alexnet:Unit)<-[e_2:EXCITES]-(c:Unit WHERE c.model = $p4)<-[analog:ANALOGOUS_TO WHERE analog.rank <= $p1 AND analog.rank <= $p5 AND analog.score > $p6]-(a)
WHERE a <> c
  AND a <> analog_b_alexnet
  AND b <> c
  AND b <> analog_b_alexnet
  AND any(label IN coalesce(head(COLLECT { MATCH (b)-[map:ANALOGOUS_TO WHERE map.rank = 1]->(image:Unit WHERE image.model = $p4) RETURN image }).labels_folded, []) WHERE label CONTAINS $p7)
WITH a, b, c, analog_b_alexnet, e, e_2, analog, analog_2, reduce(best = e.share, value IN [e_2.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, a.position, b.position, c.position, analog_b_alexnet.position
LIMIT $p8
RETURN a.key AS u0, b.key AS u1, c.key AS u2, analog_b_alexnet.key AS u3, elementId(e) AS e0, elementId(e_2) AS e1, score
ORDER BY score DESC, a.position, b.position, c.position, analog_b_alexnet.position

// p1 = 3
// p2 = 1
// p3 = "inceptionv1"
// p4 = "alexnet"
// p5 = 2.0
// p6 = 0.3
// p7 = "dog"
// p8 = 1001
