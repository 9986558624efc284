SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.target AS c2,
  LEAST(e1.share, e2.share, e3.share) AS score
FROM edge AS e1
CROSS JOIN edge AS e2
CROSS JOIN edge AS e3
CROSS JOIN unit AS u4
WHERE
  e1.kind <> 'SKIP'
  AND e2.kind <> 'SKIP'
  AND e2.source = e1.source
  AND e3.kind <> 'SKIP'
  AND e3.source = e1.target
  AND e3.target = e2.target
  AND u4.id = e1.source
ORDER BY
  score DESC,
  u4.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC
LIMIT 1001


