MATCH (a:Unit WHERE a.layer <> $p6 AND a.layer <> $p6)-[e:EXCITES WHERE e.share > $p5]->(b:Unit WHERE b.model = $p2 AND b.layer = $p4 AND b.`index` < $p9)<-[e_2:EXCITES WHERE e_2.share > $p5]-(c:Unit)-[analog_3:ANALOGOUS_TO WHERE analog_3.rank <= $p1]->(analog_3_c_inceptionv1:Unit)-[e_5:EXCITES WHERE e_5.share > $p5]->(analog_3_b_inceptionv1:Unit WHERE analog_3_b_inceptionv1.model = $p3)<-[e_4:EXCITES WHERE e_4.share > $p5]-(analog_3_a_inceptionv1:Unit)-[e_6:EXCITES|INHIBITS WHERE e_6.rank_in <= $p7 AND e_6.coherence > $p8]->(analog_3_d_inceptionv1:Unit)<-[analog_4:ANALOGOUS_TO WHERE analog_4.rank <= $p1]-(d:Unit WHERE d.model = $p2)<-[e_3:EXCITES|INHIBITS WHERE e_3.rank_in <= $p7 AND e_3.coherence > $p8]-(a)-[analog_2:ANALOGOUS_TO WHERE analog_2.rank <= $p1]->(analog_3_a_inceptionv1),
      (b)-[analog:ANALOGOUS_TO WHERE analog.rank <= $p1]->(analog_3_b_inceptionv1)
WHERE b <> d
  AND b <> analog_3_b_inceptionv1
  AND b <> analog_3_a_inceptionv1
  AND b <> analog_3_c_inceptionv1
  AND b <> analog_3_d_inceptionv1
  AND a <> c
  AND a <> analog_3_b_inceptionv1
  AND a <> analog_3_a_inceptionv1
  AND a <> analog_3_c_inceptionv1
  AND a <> analog_3_d_inceptionv1
  AND c <> d
  AND c <> analog_3_b_inceptionv1
  AND c <> analog_3_a_inceptionv1
  AND c <> analog_3_c_inceptionv1
  AND c <> analog_3_d_inceptionv1
  AND d <> analog_3_b_inceptionv1
  AND d <> analog_3_a_inceptionv1
  AND d <> analog_3_c_inceptionv1
  AND d <> analog_3_d_inceptionv1
  AND analog_3_b_inceptionv1 <> analog_3_d_inceptionv1
  AND analog_3_a_inceptionv1 <> analog_3_c_inceptionv1
  AND analog_3_c_inceptionv1 <> analog_3_d_inceptionv1
  AND CASE WHEN e_3.weight < 0 THEN -1 ELSE 1 END = CASE WHEN e_6.weight < 0 THEN -1 ELSE 1 END
  AND (NOT (EXISTS { MATCH (d)-[e_7:INHIBITS]->(c) WHERE e_3.share < $p10 }))
WITH b, a, c, d, analog_3_b_inceptionv1, analog_3_a_inceptionv1, analog_3_c_inceptionv1, analog_3_d_inceptionv1, e, e_2, e_3, e_4, e_5, e_6, analog, analog_2, analog_3, analog_4, reduce(best = e.share, value IN [e_2.share, e_3.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, b.position, a.position, c.position, d.position, analog_3_b_inceptionv1.position, analog_3_a_inceptionv1.position, analog_3_c_inceptionv1.position, analog_3_d_inceptionv1.position
LIMIT $p11
RETURN b.key AS u0, a.key AS u1, c.key AS u2, d.key AS u3, analog_3_b_inceptionv1.key AS u4, analog_3_a_inceptionv1.key AS u5, analog_3_c_inceptionv1.key AS u6, analog_3_d_inceptionv1.key AS u7, elementId(e) AS e0, elementId(e_2) AS e1, elementId(e_3) AS e2, elementId(e_4) AS e3, elementId(e_5) AS e4, elementId(e_6) AS e5, score
ORDER BY score DESC, b.position, a.position, c.position, d.position, analog_3_b_inceptionv1.position, analog_3_a_inceptionv1.position, analog_3_c_inceptionv1.position, analog_3_d_inceptionv1.position

// p1 = 3
// p2 = "alexnet"
// p3 = "inceptionv1"
// p4 = "mixed4a"
// p5 = 0.02
// p6 = "x"
// p7 = 20.0
// p8 = 0.0
// p9 = 5.0
// p10 = 0.9
// p11 = 21
