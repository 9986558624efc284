MATCH (case1:Unit WHERE case1.model = $p2)-[e:EXCITES WHERE e.share > $p3]->(case2:Unit WHERE case2.layer = $p4)<-[e_4:INHIBITS WHERE e_4.share > $p3]-(T_case1:Unit)-[e_2:EXCITES WHERE e_2.share > $p3]->(T_case2:Unit)<-[e_3:INHIBITS WHERE e_3.share > $p3]-(case1)-[map:MAPS_TO WHERE map.map = $p1]->(T_case1),
      (case2)-[e_5:EXCITES WHERE e_5.share > $p3]->(both:Unit)<-[e_6:EXCITES WHERE e_6.share > $p3]-(T_case2)<-[map_2:MAPS_TO WHERE map_2.map = $p1]-(case2),
      (both)-[map_3:MAPS_TO WHERE map_3.map = $p1]->(both)
WHERE NOT (T_case1.position < case1.position AND EXISTS { MATCH (T_case1)-[map_4:MAPS_TO WHERE map_4.map = $p1]->(case1), (T_case2)-[map_5:MAPS_TO WHERE map_5.map = $p1]->(case2) WHERE T_case2.layer = $p4 })
WITH case1, case2, T_case1, T_case2, both, e, e_2, e_3, e_4, e_5, e_6, map, map_2, map_3, reduce(best = e.share, value IN [e_2.share, e_3.share, e_4.share, e_5.share, e_6.share] | CASE WHEN value < best THEN value ELSE best END) AS score, reduce(best = e.share, value IN [e_2.share, e_3.share, e_4.share, e_5.share, e_6.share] | CASE WHEN value < best THEN value ELSE best END) AS ranking
ORDER BY ranking DESC, case1.position, case2.position, T_case1.position, T_case2.position, both.position
LIMIT $p5
RETURN case1.key AS u0, case2.key AS u1, T_case1.key AS u2, T_case2.key AS u3, both.key AS u4, elementId(e) AS e0, elementId(e_2) AS e1, elementId(e_3) AS e2, elementId(e_4) AS e3, elementId(e_5) AS e4, elementId(e_6) AS e5, score
ORDER BY ranking DESC, case1.position, case2.position, T_case1.position, T_case2.position, both.position

// p1 = "flip"
// p2 = "inceptionv1"
// p3 = 0.005
// p4 = "mixed4b"
// p5 = 21
