MATCH (windows:Unit WHERE windows.layer = $p1)-[w:EXCITES|INHIBITS WHERE w.top > $p4 AND w.bottom < $p4]->(car:Unit WHERE car.layer = $p2 AND any(label IN coalesce(car.labels_folded, []) WHERE label CONTAINS $p3))<-[h:EXCITES|INHIBITS WHERE h.top < $p4 AND h.bottom > $p4]-(wheels:Unit WHERE wheels.layer = $p1),
      (body:Unit WHERE body.layer = $p1)-[e:EXCITES]->(car)
WHERE windows <> wheels
  AND windows <> body
  AND wheels <> body
  AND (NOT (wheels.position < windows.position AND coalesce(h.top > $p4 AND h.bottom < $p4 AND w.top < $p4 AND w.bottom > $p4, false)))
WITH windows, wheels, body, car, w, h, e, reduce(best = w.share, value IN [h.share, e.share] | CASE WHEN value < best THEN value ELSE best END) AS score
ORDER BY score DESC, windows.model, windows.position, wheels.position, body.position, car.position
LIMIT $p5
RETURN windows.key AS u0, wheels.key AS u1, body.key AS u2, car.key AS u3, elementId(w) AS e0, elementId(h) AS e1, elementId(e) AS e2, score
ORDER BY score DESC, windows.model, windows.position, wheels.position, body.position, car.position

// p1 = "mixed4b"
// p2 = "mixed4c"
// p3 = "car"
// p4 = 0.0
// p5 = 1001
