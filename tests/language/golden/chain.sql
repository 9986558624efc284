SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.target AS c2,
  e3.target AS c3,
  e1.rowid AS r0,
  e2.rowid AS r1,
  e3.rowid AS r2,
  LEAST(e1.share, e2.share, e3.share) AS score
FROM edge AS e1
JOIN unit AS u4
  ON e1.source = u4.id
JOIN edge AS e2
  ON e1.target = e2.source
JOIN edge AS e3
  ON e2.target = e3.source
WHERE
  e1.kind = 'EXCITES'
  AND e2.kind = 'INHIBITS'
  AND e3.kind <> 'SKIP'
  AND e1.share > $p1
  AND e2.share > $p1
  AND e3.share > $p1
ORDER BY
  score DESC,
  u4.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC,
  c3 ASC
LIMIT 1001

-- p1 = 0.01
