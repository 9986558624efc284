MATCH (a:Unit WHERE a.layer = $p1 AND any(label IN coalesce(a.labels_folded, []) WHERE label CONTAINS $p4))
CALL (a) {
  MATCH (b:Unit WHERE b.layer = $p1 AND any(label_2 IN coalesce(b.labels_folded, []) WHERE label_2 CONTAINS $p4))
  RETURN b
}
CALL (a, b) {
  MATCH (c:Unit WHERE c.layer IN [$p2, $p3])
  WHERE b.model = a.model
    AND c.model = a.model
    AND a.position < b.position
    AND a.mean = b.mean
    AND (NOT (c.position < b.position AND coalesce(c.layer = $p1 AND (b.layer IN [$p2, $p3]) AND any(label_3 IN coalesce(c.labels_folded, []) WHERE label_3 CONTAINS $p4) AND a.mean = c.mean, false)))
    AND (NOT (b.position < a.position AND coalesce(c.layer = $p1 AND (a.layer IN [$p2, $p3]) AND any(label_4 IN coalesce(c.labels_folded, []) WHERE label_4 CONTAINS $p4) AND b.mean = c.mean, false)))
    AND (NOT (c.position < a.position AND coalesce(c.layer = $p1 AND (b.layer IN [$p2, $p3]) AND any(label_5 IN coalesce(c.labels_folded, []) WHERE label_5 CONTAINS $p4) AND c.mean = a.mean, false)))
    AND (NOT (c.position < a.position AND coalesce(c.layer = $p1 AND (a.layer IN [$p2, $p3]) AND any(label_6 IN coalesce(c.labels_folded, []) WHERE label_6 CONTAINS $p4) AND c.mean = b.mean, false)))
  RETURN c
}
WITH a, b, c, null AS score
ORDER BY a.model, a.position, b.position, c.position
LIMIT $p5
RETURN a.key AS u0, b.key AS u1, c.key AS u2, score
ORDER BY a.model, a.position, b.position, c.position

// p1 = "mixed3b"
// p2 = "mixed4a"
// p3 = "mixed4b"
// p4 = "dog"
// p5 = 1001
