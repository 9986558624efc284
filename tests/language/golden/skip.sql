SELECT
  e1.source AS c0,
  e1.target AS c1,
  e1.rowid AS r0,
  e2.rowid AS r1,
  LEAST(e1.share, e2.share) AS score
FROM unit AS u4
JOIN (
  edge AS e2
    JOIN edge AS e1
      ON e2.source = e1.source AND e2.target = e1.target
)
  ON u4.id = e2.source
WHERE
  e1.kind = 'SKIP'
  AND e2.kind <> 'SKIP'
  AND CASE WHEN e1.weight < 0 THEN -1 ELSE 1 END <> CASE WHEN e2.weight < 0 THEN -1 ELSE 1 END
  AND e1.weight < $p1
  AND NOT EXISTS(
    SELECT
      1
    FROM edge AS e3
    WHERE
      e3.kind = 'SKIP' AND e3.source = e1.target
  )
ORDER BY
  score DESC,
  u4.model ASC,
  c0 ASC,
  c1 ASC
LIMIT 1001

-- p1 = 0.0
