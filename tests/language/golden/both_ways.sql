SELECT
  e2.source AS c0,
  e1.source AS c1,
  e1.target AS c2,
  LEAST(e1.share, e2.share) AS score
FROM edge AS e1
CROSS JOIN edge AS e2
CROSS JOIN "map" AS m3
CROSS JOIN "map" AS m4
CROSS JOIN unit AS u5
WHERE
  e1.kind <> 'SKIP'
  AND e2.kind <> 'SKIP'
  AND e2.target = e1.target
  AND m3."map" = $p1
  AND m3.source = e1.source
  AND m3.target = e2.source
  AND m4."map" = $p2
  AND m4.source = e2.source
  AND m4.target = e1.source
  AND e2.source <> e1.source
  AND u5.id = e2.source
ORDER BY
  score DESC,
  u5.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC
LIMIT 1001

-- p1 = "rotate(90)"
-- p2 = "rotate(270)"
