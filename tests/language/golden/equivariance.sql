SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.source AS c2,
  e2.target AS c3,
  LEAST(e1.share, e2.share) AS score
FROM edge AS e1
CROSS JOIN edge AS e2
CROSS JOIN "map" AS m3
CROSS JOIN "map" AS m4
CROSS JOIN unit AS u6
WHERE
  e1.kind <> 'SKIP'
  AND e2.kind <> 'SKIP'
  AND m3."map" = $p1
  AND m3.source = e1.source
  AND m3.target = e2.source
  AND m4."map" = $p1
  AND m4.source = e1.target
  AND m4.target = e2.target
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
  AND u6.id = e1.source
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
