MATCH (a:Unit)-[e:EXCITES]->(b:Unit)<-[map_2:MAPS_TO WHERE map_2.map = $p2]-(c:Unit)-[e_2:EXCITES|INHIBITS]->(negate_b:Unit)<-[map_3:MAPS_TO WHERE map_3.map = $p3]-(b),
      (hue_90_a:Unit)-[e_3:EXCITES]->(d:Unit)<-[e_4:EXCITES|INHIBITS]-(flip_vertical_flip_vertical_a:Unit)<-[map_6:MAPS_TO WHERE map_6.map = $p5]-(flip_vertical_a:Unit)<-[map_5:MAPS_TO WHERE map_5.map = $p5]-(a)-[map:MAPS_TO WHERE map.map = $p1 AND map.score > $p6 AND map.mutual AND map.self_score < $p7]->(flip_a:Unit),
      (a)-[map_4:MAPS_TO WHERE map_4.map = $p4]->(hue_90_a)
WHERE a <> flip_a
  AND a <> c
  AND a <> negate_b
  AND a <> hue_90_a
  AND a <> d
  AND a <> flip_vertical_a
  AND a <> flip_vertical_flip_vertical_a
  AND b <> flip_a
  AND b <> c
  AND b <> negate_b
  AND b <> hue_90_a
  AND b <> d
  AND b <> flip_vertical_a
  AND b <> flip_vertical_flip_vertical_a
  AND flip_a <> c
  AND flip_a <> negate_b
  AND flip_a <> hue_90_a
  AND flip_a <> d
  AND flip_a <> flip_vertical_a
  AND flip_a <> flip_vertical_flip_vertical_a
  AND c <> hue_90_a
  AND c <> d
  AND c <> flip_vertical_a
  AND c <> flip_vertical_flip_vertical_a
  AND negate_b <> hue_90_a
  AND negate_b <> d
  AND negate_b <> flip_vertical_a
  AND negate_b <> flip_vertical_flip_vertical_a
  AND hue_90_a <> flip_vertical_a
  AND hue_90_a <> flip_vertical_flip_vertical_a
  AND d <> flip_vertical_a
  AND flip_vertical_a <> flip_vertical_flip_vertical_a
  AND head(COLLECT { MATCH (b)-[map_7:MAPS_TO WHERE map_7.map = $p1]->(image:Unit) RETURN image }) <> b
  AND head(COLLECT { MATCH (c)-[map_8:MAPS_TO WHERE map_8.map = $p1]->(image_2:Unit) RETURN image_2 }).layer = $p8
WITH a, b, flip_a, c, negate_b, hue_90_a, d, flip_vertical_a, flip_vertical_flip_vertical_a, e, e_2, e_3, e_4, map, map_2, map_3, map_4, map_5, map_6, reduce(best = e.share, value IN [e_2.share, e_3.share, e_4.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, a.model, a.position, b.position, flip_a.position, c.position, negate_b.position, hue_90_a.position, d.position, flip_vertical_a.position, flip_vertical_flip_vertical_a.position
LIMIT $p9
RETURN a.key AS u0, b.key AS u1, flip_a.key AS u2, c.key AS u3, negate_b.key AS u4, hue_90_a.key AS u5, d.key AS u6, flip_vertical_a.key AS u7, flip_vertical_flip_vertical_a.key AS u8, elementId(e) AS e0, elementId(e_2) AS e1, elementId(e_3) AS e2, elementId(e_4) AS e3, score
ORDER BY score DESC, a.model, a.position, b.position, flip_a.position, c.position, negate_b.position, hue_90_a.position, d.position, flip_vertical_a.position, flip_vertical_flip_vertical_a.position

// p1 = "flip"
// p2 = "rotate(22.5)"
// p3 = "negate"
// p4 = "hue(270)"
// p5 = "flip_vertical"
// p6 = 0.5
// p7 = 0.3
// p8 = "mixed4b"
// p9 = 1001
