SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.source AS c2,
  e3.source AS c3,
  LEAST(e1.share, e2.share, e3.share) AS score
FROM edge AS e1
CROSS JOIN edge AS e2
CROSS JOIN edge AS e3
CROSS JOIN "map" AS m4
CROSS JOIN "map" AS m5
CROSS JOIN unit AS u6
WHERE
  e1.kind <> 'SKIP'
  AND e2.kind <> 'SKIP'
  AND e2.target = e1.target
  AND e3.kind <> 'SKIP'
  AND e3.target = e1.target
  AND m4."map" = $p1
  AND m4.source = e1.source
  AND m4.target = e2.source
  AND m5."map" = $p2
  AND m5.source = e1.source
  AND m5.target = e3.source
  AND u6.id = e1.source
  AND u6.layer IN ($p3, $p4)
  AND e1.source <> e2.source
  AND e1.source <> e3.source
  AND e2.source <> e3.source
  AND (
    FALSE OR u6.layer = $p3
  )
  AND e1.weight > $p5
ORDER BY
  score DESC,
  u6.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC,
  c3 ASC
LIMIT 1001

-- p1 = "flip"
-- p2 = "negate"
-- p3 = "mixed3b"
-- p4 = "mixed4a"
-- p5 = -0.5
