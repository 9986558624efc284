SELECT
  e1.source AS c0,
  e3.source AS c1,
  e1.target AS c2,
  e2.target AS c3,
  e5.target AS c4,
  e1.rowid AS r0,
  e2.rowid AS r1,
  e3.rowid AS r2,
  e4.rowid AS r3,
  e5.rowid AS r4,
  LEAST(e1.share, e2.share, e3.share, e4.share, e5.share) AS score
FROM edge AS e1
JOIN unit AS u6
  ON e1.source = u6.id
JOIN edge AS e3
  ON e1.target = e3.target
JOIN (
  edge AS e2
    JOIN edge AS e4
      ON e2.target = e4.target
)
  ON e3.source = e4.source AND e1.source = e2.source
JOIN edge AS e5
  ON e1.target = e5.source
WHERE
  e1.kind = 'EXCITES'
  AND e2.kind = 'EXCITES'
  AND e3.kind = 'EXCITES'
  AND e4.kind = 'EXCITES'
  AND e5.kind <> 'SKIP'
  AND e1.source < e3.source
  AND e1.target <> e2.target
  AND e2.target <> e5.target
ORDER BY
  score DESC,
  u6.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC,
  c3 ASC,
  c4 ASC
LIMIT 1001


