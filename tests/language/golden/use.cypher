MATCH (left_first:Unit)-[left_e:EXCITES WHERE left_e.share > $p3]->(left_last:Unit)<-[right_e:EXCITES WHERE right_e.share > $p4]-(right_first:Unit)<-[e_3:EXCITES|INHIBITS]-(left_first)-[map:MAPS_TO WHERE map.map = $p1]->(left_T_first:Unit)-[e:EXCITES WHERE e.share > $p3]->(left_T_last:Unit)<-[map_2:MAPS_TO WHERE map_2.map = $p1]-(left_last)-[map_4:MAPS_TO WHERE map_4.map = $p2]->(right_T_last:Unit)<-[e_2:EXCITES WHERE e_2.share > $p4]-(right_T_first:Unit)<-[map_3:MAPS_TO WHERE map_3.map = $p2]-(right_first)
WHERE left_first <> left_T_first
  AND left_first <> left_T_last
  AND left_first <> right_T_first
  AND left_first <> right_T_last
  AND left_last <> left_T_first
  AND left_last <> left_T_last
  AND left_last <> right_T_first
  AND left_last <> right_T_last
  AND left_T_first <> right_first
  AND left_T_first <> right_T_first
  AND left_T_first <> right_T_last
  AND left_T_last <> right_first
  AND left_T_last <> right_T_first
  AND left_T_last <> right_T_last
  AND right_first <> right_T_first
  AND right_first <> right_T_last
  AND left_e.share > right_e.share
WITH left_first, left_last, left_T_first, left_T_last, right_first, right_T_first, right_T_last, left_e, e, right_e, e_2, e_3, map, map_2, map_3, map_4, reduce(best = left_e.share, value IN [e.share, right_e.share, e_2.share, e_3.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, left_first.model, left_first.position, left_last.position, left_T_first.position, left_T_last.position, right_first.position, right_T_first.position, right_T_last.position
LIMIT $p5
RETURN left_first.key AS u0, left_last.key AS u1, left_T_first.key AS u2, left_T_last.key AS u3, right_first.key AS u4, right_T_first.key AS u5, right_T_last.key AS u6, elementId(left_e) AS e0, elementId(e) AS e1, elementId(right_e) AS e2, elementId(e_2) AS e3, elementId(e_3) AS e4, score
ORDER BY score DESC, left_first.model, left_first.position, left_last.position, left_T_first.position, left_T_last.position, right_first.position, right_T_first.position, right_T_last.position

// p1 = "flip"
// p2 = "rotate(180)"
// p3 = 0.1
// p4 = 0.0
// p5 = 1001
