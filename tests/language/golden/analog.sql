SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.source AS c2,
  e2.target AS c3,
  e1.rowid AS r0,
  e2.rowid AS r1,
  LEAST(e1.share, e2.share) AS score
FROM edge AS e2
JOIN (
  edge AS e1
    JOIN analogue AS m3
      ON e1.source = m3.source
    JOIN analogue AS m4
      ON e1.target = m4.source
)
  ON e2.source = m3.target AND e2.target = m4.target
WHERE
  e1.kind = 'EXCITES'
  AND e2.kind = 'EXCITES'
  AND m3.rank <= $p1
  AND m3.target_model_id = $p2
  AND m4.rank <= $p2
  AND m4.target_model_id = $p2
  AND e1.model_id = $p3
  AND e2.model_id = $p2
  AND m3.source_model_id = $p3
  AND m4.source_model_id = $p3
  AND e1.source <> e2.source
  AND e1.source <> e2.target
  AND e1.target <> e2.source
  AND e1.target <> e2.target
  AND (
    m3.rank <= $p4 AND m3.score > $p5
  )
  AND (
    SELECT
      m6.target
    FROM analogue AS m6
    WHERE
      m6.source = e1.target AND m6.rank = 1 AND m6.target_model_id = $p2
  ) IN (
    SELECT
      l5.unit_id
    FROM label AS l5
    WHERE
      CONTAINS(l5.label_folded, $p6)
  )
ORDER BY
  score DESC,
  c0 ASC,
  c1 ASC,
  c2 ASC,
  c3 ASC
LIMIT 1001

-- p1 = 3
-- p2 = 1
-- p3 = 2
-- p4 = 2.0
-- p5 = 0.3
-- p6 = "dog"
