MATCH (a:Unit WHERE a.model = $p2)-[e:EXCITES|INHIBITS]->(b:Unit WHERE b.model = $p2)-[analog_2:ANALOGOUS_TO WHERE analog_2.rank <= $p1]->(analog_b_inceptionv1:Unit)<-[e_2:EXCITES|INHIBITS]-(analog_a_inceptionv1:Unit WHERE analog_a_inceptionv1.model = $p3)<-[analog:ANALOGOUS_TO WHERE analog.rank <= $p1]-(a)
WHERE a <> analog_a_inceptionv1
  AND a <> analog_b_inceptionv1
  AND b <> analog_a_inceptionv1
  AND b <> analog_b_inceptionv1
  AND CASE WHEN e.weight < 0 THEN -1 ELSE 1 END = CASE WHEN e_2.weight < 0 THEN -1 ELSE 1 END
WITH a, b, analog_a_inceptionv1, analog_b_inceptionv1, e, e_2, analog, analog_2, e.share AS score
ORDER BY score DESC, a.position, b.position, analog_a_inceptionv1.position, analog_b_inceptionv1.position
LIMIT $p4
RETURN a.key AS u0, b.key AS u1, analog_a_inceptionv1.key AS u2, analog_b_inceptionv1.key AS u3, elementId(e) AS e0, elementId(e_2) AS e1, score
ORDER BY score DESC, a.position, b.position, analog_a_inceptionv1.position, analog_b_inceptionv1.position

// p1 = 1
// p2 = "alexnet"
// p3 = "inceptionv1"
// p4 = 1001
