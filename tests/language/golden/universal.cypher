MATCH (a:Unit WHERE a.model = $p2)-[e:EXCITES|INHIBITS]->(b:Unit WHERE b.model = $p2)-[analog_2:ANALOGOUS_TO WHERE analog_2.rank <= $p1]->(T_b_other:Unit)<-[f:EXCITES|INHIBITS]-(T_a_other:Unit WHERE T_a_other.model = $p3)<-[analog:ANALOGOUS_TO WHERE analog.rank <= $p1]-(a)
WHERE a <> T_a_other
  AND a <> T_b_other
  AND b <> T_a_other
  AND b <> T_b_other
  AND CASE WHEN e.weight < 0 THEN -1 ELSE 1 END = CASE WHEN f.weight < 0 THEN -1 ELSE 1 END
WITH a, b, T_a_other, T_b_other, e, f, analog, analog_2, reduce(best = e.share, value IN [f.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, a.position, b.position, T_a_other.position, T_b_other.position
LIMIT $p4
RETURN a.key AS u0, b.key AS u1, T_a_other.key AS u2, T_b_other.key AS u3, elementId(e) AS e0, elementId(f) AS e1, score
ORDER BY score DESC, a.position, b.position, T_a_other.position, T_b_other.position

// p1 = 1
// p2 = "inceptionv1"
// p3 = "alexnet"
// p4 = 1001
