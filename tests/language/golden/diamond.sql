SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.source AS c2,
  e2.target AS c3,
  e5.target AS c4,
  LEAST(e1.share, e2.share, e3.share, e4.share, e5.share, e6.share) AS score
FROM edge AS e1
CROSS JOIN edge AS e2
CROSS JOIN edge AS e3
CROSS JOIN edge AS e4
CROSS JOIN edge AS e5
CROSS JOIN edge AS e6
CROSS JOIN unit AS u7
WHERE
  e1.kind = 'EXCITES'
  AND e2.kind = 'EXCITES'
  AND e3.kind = 'INHIBITS'
  AND e3.source = e1.source
  AND e3.target = e2.target
  AND e4.kind = 'INHIBITS'
  AND e4.source = e2.source
  AND e4.target = e1.target
  AND e5.kind = 'EXCITES'
  AND e5.source = e1.target
  AND e6.kind = 'EXCITES'
  AND e6.source = e2.target
  AND e6.target = e5.target
  AND e1.source < e2.source
  AND u7.id = e1.source
ORDER BY
  score DESC,
  u7.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC,
  c3 ASC,
  c4 ASC
LIMIT 1001


