SELECT
  e1.source AS c0,
  e2.source AS c1,
  e3.source AS c2,
  e1.target AS c3,
  e1.rowid AS r0,
  e2.rowid AS r1,
  e3.rowid AS r2,
  LEAST(e1.share, e2.share, e3.share) AS score
FROM edge AS e1
JOIN unit AS u4
  ON e1.source = u4.id
JOIN edge AS e3
  ON e1.target = e3.target
JOIN edge AS e2
  ON e1.target = e2.target
WHERE
  e1.kind = 'EXCITES'
  AND e2.kind = 'EXCITES'
  AND e3.kind = 'EXCITES'
  AND e1.source < e2.source
  AND e1.source < e3.source
  AND e2.source < e3.source
ORDER BY
  score DESC,
  u4.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC,
  c3 ASC
LIMIT 6


