SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.source AS c2,
  e2.target AS c3,
  e5.target AS c4,
  e1.rowid AS r0,
  e2.rowid AS r1,
  e3.rowid AS r2,
  e4.rowid AS r3,
  e5.rowid AS r4,
  e6.rowid AS r5,
  LEAST(e1.share, e2.share, e3.share, e4.share, e5.share, e6.share) AS score
FROM edge AS e1
JOIN unit AS u7
  ON e1.source = u7.id
JOIN edge AS e5
  ON e1.target = e5.source
JOIN (
  edge AS e3
    JOIN edge AS e6
      ON e3.target = e6.source
)
  ON e5.target = e6.target AND e1.source = e3.source
JOIN (
  edge AS e2
    JOIN edge AS e4
      ON e2.source = e4.source
)
  ON e3.target = e2.target AND e1.target = e4.target
WHERE
  e1.kind = 'EXCITES'
  AND e2.kind = 'EXCITES'
  AND e3.kind = 'INHIBITS'
  AND e4.kind = 'INHIBITS'
  AND e5.kind = 'EXCITES'
  AND e6.kind = 'EXCITES'
  AND e1.source < e2.source
ORDER BY
  score DESC,
  u7.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC,
  c3 ASC,
  c4 ASC
LIMIT 1001


