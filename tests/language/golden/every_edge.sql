SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.source AS c2,
  e2.target AS c3,
  e4.target AS c4,
  e1.rowid AS r0,
  e2.rowid AS r1,
  e3.rowid AS r2,
  e4.rowid AS r3,
  LEAST(e1.share, e2.share, e3.share, e4.share) AS score
FROM edge AS e1
JOIN (
  edge AS e4
    JOIN unit AS u6
      ON e4.source = u6.id
)
  ON e1.source = e4.source
JOIN (
  edge AS e3
    JOIN edge AS e2
      ON e3.source = e2.target
)
  ON e1.target = e3.target
WHERE
  e1.kind <> 'SKIP'
  AND e2.kind <> 'SKIP'
  AND e3.kind <> 'SKIP'
  AND e4.kind = 'SKIP'
  AND e1.source <> e2.source
  AND e1.source <> e2.target
  AND e1.target <> e4.target
  AND e2.source <> e4.target
  AND e2.target <> e4.target
  AND e1.share > $p1
  AND e2.rank_in <= $p2
  AND e2.share > $p1
  AND e3.share > $p1
  AND e4.share > $p1
  AND NOT EXISTS(
    SELECT
      1
    FROM edge AS e5
    WHERE
      e5.kind = 'INHIBITS'
      AND e5.source = e1.target
      AND e5.target <> e4.target
      AND e5.share > $p3
  )
  AND EXISTS(
    SELECT
      1
    FROM edge AS e7
    WHERE
      e7.kind <> 'SKIP'
      AND e7.source = e1.target
      AND e7.target <> e4.target
      AND e7.weight > $p4
      AND e7.share > $p1
  )
ORDER BY
  score DESC,
  u6.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC,
  c3 ASC,
  c4 ASC
LIMIT 1001

-- p1 = 0.01
-- p2 = 4.0
-- p3 = 0.2
-- p4 = 0.0
