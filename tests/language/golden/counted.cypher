MATCH (hub:Unit WHERE hub.layer = $p1)
WHERE COUNT { MATCH (source_2:Unit)-[e_5:EXCITES WHERE e_5.rank_in <= $p2]->(hub) RETURN DISTINCT source_2 } >= $p3
  AND (NOT (EXISTS { MATCH (hub)-[e_9:EXCITES|INHIBITS WHERE e_9.share > $p5]->(heir:Unit) }))
WITH *, COUNT { MATCH (source:Unit)-[e:EXCITES WHERE e.rank_in <= $p2]->(hub) RETURN DISTINCT source } > COUNT { MATCH (rival:Unit)-[e_2:INHIBITS]->(hub), (rival)-[e_3:EXCITES|INHIBITS]->(target:Unit) WHERE target <> hub AND (NOT (EXISTS { MATCH (rival)-[e_4:EXCITES]->(target) })) RETURN DISTINCT rival } AS holds, COUNT { MATCH (rival_2:Unit)-[e_6:INHIBITS]->(hub), (rival_2)-[e_7:EXCITES|INHIBITS]->(target_2:Unit) WHERE target_2 <> hub AND (NOT (EXISTS { MATCH (rival_2)-[e_8:EXCITES]->(target_2) })) RETURN DISTINCT rival_2 } <= $p4 AS holds_2
WHERE holds
  AND holds_2
WITH hub, CASE WHEN ($p6 + toFloat(COUNT { MATCH (rival_3:Unit)-[e_11:INHIBITS]->(hub), (rival_3)-[e_12:EXCITES|INHIBITS]->(target_3:Unit) WHERE target_3 <> hub AND (NOT (EXISTS { MATCH (rival_3)-[e_13:EXCITES]->(target_3) })) RETURN DISTINCT rival_3 })) = 0 THEN null ELSE toFloat(COUNT { MATCH (source_3:Unit)-[e_10:EXCITES WHERE e_10.rank_in <= $p2]->(hub) RETURN DISTINCT source_3 }) / ($p6 + toFloat(COUNT { MATCH (rival_3:Unit)-[e_11:INHIBITS]->(hub), (rival_3)-[e_12:EXCITES|INHIBITS]->(target_3:Unit) WHERE target_3 <> hub AND (NOT (EXISTS { MATCH (rival_3)-[e_13:EXCITES]->(target_3) })) RETURN DISTINCT rival_3 })) END + 0 AS score
ORDER BY score IS NULL, score DESC, hub.model, hub.position
LIMIT $p7
RETURN hub.key AS u0, COLLECT { MATCH (source_4:Unit)-[e_14:EXCITES WHERE e_14.rank_in <= $p2]->(hub) WITH DISTINCT source_4 RETURN source_4.key AS unit_key ORDER BY source_4.model, source_4.position } AS l0, COLLECT { MATCH (rival_4:Unit)-[e_15:INHIBITS]->(hub), (rival_4)-[e_16:EXCITES|INHIBITS]->(target_4:Unit) WHERE target_4 <> hub AND (NOT (EXISTS { MATCH (rival_4)-[e_17:EXCITES]->(target_4) })) WITH DISTINCT rival_4 RETURN rival_4.key AS unit_key ORDER BY rival_4.model, rival_4.position } AS l1, COLLECT { MATCH (hub)-[e_18:EXCITES|INHIBITS WHERE e_18.share > $p5]->(heir_2:Unit) WITH DISTINCT heir_2 RETURN heir_2.key AS unit_key ORDER BY heir_2.model, heir_2.position } AS l2, score
ORDER BY score IS NULL, score DESC, hub.model, hub.position

// p1 = "mixed4a"
// p2 = 8.0
// p3 = 2
// p4 = 1
// p5 = 0.9
// p6 = 1.0
// p7 = 1001
