SELECT
  u1.id AS c0,
  NULL AS score
FROM unit AS u1
WHERE
  u1.id IN (
    SELECT
      l2.unit_id
    FROM label AS l2
    WHERE
      CONTAINS(l2.label_folded, $p1)
  )
  AND (
    SELECT
      COUNT(DISTINCT e3.target)
    FROM edge AS e3
    WHERE
      e3.kind = 'EXCITES' AND e3.source = u1.id
  ) >= $p2
ORDER BY
  u1.model ASC,
  c0 ASC
LIMIT 1001

-- p1 = "curve"
-- p2 = 2
