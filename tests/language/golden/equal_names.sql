SELECT
  e1.source AS c0,
  e1.target AS c1,
  e1.rowid AS r0,
  e1.share AS score
FROM edge AS e1
JOIN unit AS u3
  ON e1.source = u3.id
WHERE
  e1.kind = 'EXCITES'
  AND e1.weight > $p1
  AND NOT EXISTS(
    SELECT
      1
    FROM edge AS e2
    WHERE
      e2.kind = 'INHIBITS' AND e2.target = e1.target AND e2.model_id = u3.model_id
  )
ORDER BY
  score DESC,
  u3.model ASC,
  c0 ASC,
  c1 ASC
LIMIT 1001

-- p1 = 0.25
