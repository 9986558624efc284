SELECT
  e1.source AS c0,
  e2.source AS c1,
  e1.target AS c2,
  e1.rowid AS r0,
  e2.rowid AS r1,
  LEAST(e1.share, e2.share) AS score,
  (
    CAST(u3.depth AS DOUBLE) + CAST(u4.depth AS DOUBLE)
  ) AS ranking
FROM edge AS e1
JOIN unit AS u3
  ON e1.source = u3.id
JOIN (
  edge AS e2
    JOIN unit AS u4
      ON e2.source = u4.id
)
  ON e1.target = e2.target
WHERE
  e1.kind = 'INHIBITS'
  AND e2.kind = 'INHIBITS'
  AND e1.model_id = $p1
  AND e2.model_id = $p1
  AND e1.source <> e2.source
  AND e1.share > $p2
  AND e2.share > $p2
  AND (
    u3.index < $p3 OR u4.layer <> $p4
  )
ORDER BY
  ranking DESC,
  c0 ASC,
  c1 ASC,
  c2 ASC
LIMIT 8

-- p1 = 2
-- p2 = 0.1
-- p3 = 5.0
-- p4 = "mixed3b"
