SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.target AS c2,
  e3.source AS c3,
  e4.target AS c4,
  e5.source AS c5,
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
JOIN edge AS e6
  ON e1.target = e6.target
JOIN edge AS e5
  ON e6.source = e5.source
JOIN (
  edge AS e2
    JOIN edge AS e3
      ON e2.target = e3.target
    JOIN edge AS e4
      ON e3.source = e4.source
)
  ON e5.target = e4.target AND e1.source = e2.source
WHERE
  e1.kind <> 'SKIP'
  AND e2.kind <> 'SKIP'
  AND e3.kind <> 'SKIP'
  AND e4.kind <> 'SKIP'
  AND e5.kind <> 'SKIP'
  AND e6.kind <> 'SKIP'
  AND e1.source < e3.source
  AND e1.source < e5.source
  AND e1.target < e2.target
  AND e1.source <> e4.target
  AND e1.target <> e3.source
  AND e1.target <> e4.target
  AND e2.target <> e4.target
  AND e2.target <> e5.source
  AND e3.source <> e5.source
ORDER BY
  score DESC,
  u7.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC,
  c3 ASC,
  c4 ASC,
  c5 ASC
LIMIT 1001


