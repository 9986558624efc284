SELECT
  e1.source AS c0,
  e2.source AS c1,
  e1.target AS c2,
  LEAST(e1.share, e2.share) AS score,
  (
    CAST(u3.depth AS DOUBLE) + CAST(u4.depth AS DOUBLE)
  ) AS ranking
FROM edge AS e1
CROSS JOIN edge AS e2
CROSS JOIN unit AS u3
CROSS JOIN unit AS u4
WHERE
  e1.kind = 'INHIBITS'
  AND e2.kind = 'INHIBITS'
  AND e2.target = e1.target
  AND e1.model_id = $p1
  AND e2.model_id = $p1
  AND e1.source <> e2.source
  AND e1.share > $p2
  AND e2.share > $p2
  AND u3.id = e1.source
  AND u4.id = e2.source
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
