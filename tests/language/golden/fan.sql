SELECT
  e1.source AS c0,
  e2.source AS c1,
  e3.source AS c2,
  e1.target AS c3,
  LEAST(e1.share, e2.share, e3.share) AS score
FROM edge AS e1
CROSS JOIN edge AS e2
CROSS JOIN edge AS e3
CROSS JOIN unit AS u4
WHERE
  e1.kind = 'EXCITES'
  AND e2.kind = 'EXCITES'
  AND e2.target = e1.target
  AND e3.kind = 'EXCITES'
  AND e3.target = e1.target
  AND e1.source < e2.source
  AND e1.source < e3.source
  AND e2.source < e3.source
  AND u4.id = e1.source
ORDER BY
  score DESC,
  u4.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC,
  c3 ASC
LIMIT 6


