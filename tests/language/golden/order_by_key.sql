SELECT
  e1.source AS c0,
  e1.target AS c1,
  e1.share AS score
FROM edge AS e1
CROSS JOIN unit AS u2
WHERE
  e1.kind <> 'SKIP' AND u2.id = e1.source
ORDER BY
  u2.model DESC,
  c0 DESC,
  c1 DESC
LIMIT 4


