SELECT
  e1.source AS c0,
  e1.target AS c1,
  e1.rowid AS r0,
  e1.share AS score
FROM edge AS e1
JOIN unit AS u3
  ON e1.source = u3.id
WHERE
  e1.kind <> 'SKIP'
  AND e1.source IN (
    SELECT
      l2.unit_id
    FROM label AS l2
    WHERE
      l2.label = $p1
  )
  AND (
    CONTAINS(u3.layer_folded, $p2)
    OR e1.target IN (
      SELECT
        l4.unit_id
      FROM label AS l4
      WHERE
        CONTAINS(l4.label_folded, $p3)
    )
  )
  AND e1.weight > $p4
ORDER BY
  score DESC,
  u3.model ASC,
  c0 ASC,
  c1 ASC
LIMIT 1001

-- p1 = "'; DROP TABLE edge; -- \" ` \\ \u0000 \n $p1 }) RETURN 1 //"
-- p2 = "%_.*"
-- p3 = "strasse"
-- p4 = 0.0
