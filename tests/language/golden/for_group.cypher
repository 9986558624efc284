MATCH (a:Unit)-[e:EXCITES WHERE e.share > $p4]->(b:Unit)-[map_2:MAPS_TO WHERE map_2.map = $p1]->(rotate_90_b:Unit)<-[e_2:EXCITES WHERE e_2.share > $p4]-(rotate_90_a:Unit)<-[map:MAPS_TO WHERE map.map = $p1]-(a)-[map_3:MAPS_TO WHERE map_3.map = $p2]->(rotate_180_a:Unit)-[e_3:EXCITES WHERE e_3.share > $p4]->(rotate_180_b:Unit)<-[map_4:MAPS_TO WHERE map_4.map = $p2]-(b)-[map_6:MAPS_TO WHERE map_6.map = $p3]->(rotate_270_b:Unit)<-[e_4:EXCITES WHERE e_4.share > $p4]-(rotate_270_a:Unit)<-[map_5:MAPS_TO WHERE map_5.map = $p3]-(a)
WHERE a <> rotate_90_a
  AND a <> rotate_90_b
  AND a <> rotate_180_a
  AND a <> rotate_180_b
  AND a <> rotate_270_a
  AND a <> rotate_270_b
  AND b <> rotate_90_a
  AND b <> rotate_90_b
  AND b <> rotate_180_a
  AND b <> rotate_180_b
  AND b <> rotate_270_a
  AND b <> rotate_270_b
  AND rotate_90_a <> rotate_180_a
  AND rotate_90_a <> rotate_180_b
  AND rotate_90_a <> rotate_270_a
  AND rotate_90_a <> rotate_270_b
  AND rotate_90_b <> rotate_180_a
  AND rotate_90_b <> rotate_180_b
  AND rotate_90_b <> rotate_270_a
  AND rotate_90_b <> rotate_270_b
  AND rotate_180_a <> rotate_270_a
  AND rotate_180_a <> rotate_270_b
  AND rotate_180_b <> rotate_270_a
  AND rotate_180_b <> rotate_270_b
  AND (NOT (rotate_90_a.position < a.position AND EXISTS { MATCH (rotate_90_a)-[map_7:MAPS_TO WHERE map_7.map = $p1]->(rotate_180_a), (rotate_90_a)-[map_9:MAPS_TO WHERE map_9.map = $p2]->(rotate_270_a), (rotate_90_a)-[map_11:MAPS_TO WHERE map_11.map = $p3]->(a), (rotate_90_b)-[map_8:MAPS_TO WHERE map_8.map = $p1]->(rotate_180_b), (rotate_90_b)-[map_10:MAPS_TO WHERE map_10.map = $p2]->(rotate_270_b), (rotate_90_b)-[map_12:MAPS_TO WHERE map_12.map = $p3]->(b) }))
  AND (NOT (rotate_180_a.position < a.position AND EXISTS { MATCH (rotate_180_a)-[map_13:MAPS_TO WHERE map_13.map = $p1]->(rotate_270_a), (rotate_180_a)-[map_15:MAPS_TO WHERE map_15.map = $p2]->(a), (rotate_180_a)-[map_17:MAPS_TO WHERE map_17.map = $p3]->(rotate_90_a), (rotate_180_b)-[map_14:MAPS_TO WHERE map_14.map = $p1]->(rotate_270_b), (rotate_180_b)-[map_16:MAPS_TO WHERE map_16.map = $p2]->(b), (rotate_180_b)-[map_18:MAPS_TO WHERE map_18.map = $p3]->(rotate_90_b) }))
  AND (NOT (rotate_270_a.position < a.position AND EXISTS { MATCH (rotate_270_a)-[map_19:MAPS_TO WHERE map_19.map = $p1]->(a), (rotate_270_a)-[map_21:MAPS_TO WHERE map_21.map = $p2]->(rotate_90_a), (rotate_270_a)-[map_23:MAPS_TO WHERE map_23.map = $p3]->(rotate_180_a), (rotate_270_b)-[map_20:MAPS_TO WHERE map_20.map = $p1]->(b), (rotate_270_b)-[map_22:MAPS_TO WHERE map_22.map = $p2]->(rotate_90_b), (rotate_270_b)-[map_24:MAPS_TO WHERE map_24.map = $p3]->(rotate_180_b) }))
WITH a, b, rotate_90_a, rotate_90_b, rotate_180_a, rotate_180_b, rotate_270_a, rotate_270_b, e, e_2, e_3, e_4, map, map_2, map_3, map_4, map_5, map_6, reduce(best = e.share, value IN [e_2.share, e_3.share, e_4.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, a.model, a.position, b.position, rotate_90_a.position, rotate_90_b.position, rotate_180_a.position, rotate_180_b.position, rotate_270_a.position, rotate_270_b.position
LIMIT $p5
RETURN a.key AS u0, b.key AS u1, rotate_90_a.key AS u2, rotate_90_b.key AS u3, rotate_180_a.key AS u4, rotate_180_b.key AS u5, rotate_270_a.key AS u6, rotate_270_b.key AS u7, elementId(e) AS e0, elementId(e_2) AS e1, elementId(e_3) AS e2, elementId(e_4) AS e3, score
ORDER BY score DESC, a.model, a.position, b.position, rotate_90_a.position, rotate_90_b.position, rotate_180_a.position, rotate_180_b.position, rotate_270_a.position, rotate_270_b.position

// p1 = "rotate(90)"
// p2 = "rotate(180)"
// p3 = "rotate(270)"
// p4 = 0.05
// p5 = 1001
