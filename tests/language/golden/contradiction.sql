SELECT
  e1.source AS c0,
  e1.target AS c1,
  e1.rowid AS r0,
  e1.share AS score
FROM edge AS e1
JOIN unit AS u2
  ON e1.source = u2.id
WHERE
  FALSE
ORDER BY
  score DESC,
  u2.model ASC,
  c0 ASC,
  c1 ASC
LIMIT 1001


