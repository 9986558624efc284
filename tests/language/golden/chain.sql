SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.target AS c2,
  e3.target AS c3,
  LEAST(e1.share, e2.share, e3.share) AS score
FROM edge AS e1
CROSS JOIN edge AS e2
CROSS JOIN edge AS e3
CROSS JOIN unit AS u4
WHERE
  e1.kind = 'EXCITES'
  AND e2.kind = 'INHIBITS'
  AND e2.source = e1.target
  AND e3.kind <> 'SKIP'
  AND e3.source = e2.target
  AND e1.share > $p1
  AND e2.share > $p1
  AND e3.share > $p1
  AND u4.id = e1.source
ORDER BY
  score DESC,
  u4.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC,
  c3 ASC
LIMIT 1001

-- p1 = 0.01
