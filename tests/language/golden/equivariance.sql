SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.source AS c2,
  e2.target AS c3,
  e1.rowid AS r0,
  e2.rowid AS r1,
  LEAST(e1.share, e2.share) AS score
FROM edge AS e2
JOIN (
  edge AS e1
    JOIN (
      unit AS u6
        JOIN "map" AS m3
          ON u6.id = m3.source
    )
      ON e1.source = u6.id
    JOIN "map" AS m4
      ON e1.target = m4.source
)
  ON e2.source = m3.target AND e2.target = m4.target
WHERE
  e1.kind <> 'SKIP'
  AND e2.kind <> 'SKIP'
  AND m3."map" = $p1
  AND m4."map" = $p1
  AND e1.source <> e2.source
  AND e1.source <> e2.target
  AND e1.target <> e2.source
  AND e1.target <> e2.target
  AND (
    SELECT
      a5.value
    FROM agreement1 AS a5
    WHERE
      a5.left_source = e1.source
      AND a5.left_target = e1.target
      AND a5.right_source = e2.source
      AND a5.right_target = e2.target
  ) > $p2
ORDER BY
  score DESC,
  u6.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC,
  c3 ASC
LIMIT 1001

-- p1 = "rotate(90)"
-- p2 = 0.7
-- agreement1: Agreement(left='e', left_maps=('rotate(90)',), right='f', right_maps=())
