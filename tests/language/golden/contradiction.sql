SELECT
  e1.source AS c0,
  e1.target AS c1,
  e1.share AS score
FROM edge AS e1
CROSS JOIN unit AS u2
WHERE
  FALSE AND u2.id = e1.source
ORDER BY
  score DESC,
  u2.model ASC,
  c0 ASC,
  c1 ASC
LIMIT 1001


