MATCH (a:Unit)-[e:EXCITES]->(b:Unit)
WITH *, (0 + CASE WHEN EXISTS { MATCH (a)-[e_2:EXCITES]->(b) WHERE NOT (EXISTS { MATCH (a)-[e_3:INHIBITS]->(b) }) } THEN 1 ELSE 0 END + CASE WHEN EXISTS { MATCH (rotate_90_a:Unit)-[e_4:EXCITES]->(rotate_90_b:Unit)<-[map_2:MAPS_TO WHERE map_2.map = $p1]-(b), (a)-[map:MAPS_TO WHERE map.map = $p1]->(rotate_90_a) WHERE rotate_90_a <> a AND rotate_90_a <> b AND rotate_90_b <> a AND rotate_90_b <> b AND (NOT (EXISTS { MATCH (rotate_90_a)-[e_5:INHIBITS]->(b) })) } THEN 1 ELSE 0 END + CASE WHEN EXISTS { MATCH (rotate_180_a:Unit)-[e_6:EXCITES]->(rotate_180_b:Unit)<-[map_4:MAPS_TO WHERE map_4.map = $p2]-(b), (a)-[map_3:MAPS_TO WHERE map_3.map = $p2]->(rotate_180_a) WHERE rotate_180_a <> a AND rotate_180_a <> b AND rotate_180_b <> a AND rotate_180_b <> b AND (NOT (EXISTS { MATCH (rotate_180_a)-[e_7:INHIBITS]->(b) })) } THEN 1 ELSE 0 END + CASE WHEN EXISTS { MATCH (rotate_270_a:Unit)-[e_8:EXCITES]->(rotate_270_b:Unit)<-[map_6:MAPS_TO WHERE map_6.map = $p3]-(b), (a)-[map_5:MAPS_TO WHERE map_5.map = $p3]->(rotate_270_a) WHERE rotate_270_a <> a AND rotate_270_a <> b AND rotate_270_b <> a AND rotate_270_b <> b AND (NOT (EXISTS { MATCH (rotate_270_a)-[e_9:INHIBITS]->(b) })) } THEN 1 ELSE 0 END) >= $p4 AS holds
WHERE holds
WITH a, b, e, e.share AS score
ORDER BY score DESC, a.model, a.position, b.position
LIMIT $p5
RETURN a.key AS u0, b.key AS u1, elementId(e) AS e0, score
ORDER BY score DESC, a.model, a.position, b.position

// p1 = "rotate(90)"
// p2 = "rotate(180)"
// p3 = "rotate(270)"
// p4 = 3
// p5 = 1001
