SELECT
  e1.source AS c0,
  e1.target AS c1,
  e1.rowid AS r0,
  e1.share AS score
FROM edge AS e1
JOIN unit AS u2
  ON e1.source = u2.id
WHERE
  e1.kind <> 'SKIP'
ORDER BY
  u2.model DESC,
  c0 DESC,
  c1 DESC
LIMIT 4


