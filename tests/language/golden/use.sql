SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.source AS c2,
  e2.target AS c3,
  e3.source AS c4,
  e4.source AS c5,
  e4.target AS c6,
  LEAST(e1.share, e2.share, e3.share, e4.share, e5.share) AS score
FROM edge AS e1
CROSS JOIN edge AS e2
CROSS JOIN edge AS e3
CROSS JOIN edge AS e4
CROSS JOIN edge AS e5
CROSS JOIN "map" AS m6
CROSS JOIN "map" AS m7
CROSS JOIN "map" AS m8
CROSS JOIN "map" AS m9
CROSS JOIN unit AS u10
WHERE
  e1.kind = 'EXCITES'
  AND e2.kind = 'EXCITES'
  AND e3.kind = 'EXCITES'
  AND e3.target = e1.target
  AND e4.kind = 'EXCITES'
  AND e5.kind <> 'SKIP'
  AND e5.source = e1.source
  AND e5.target = e3.source
  AND m6."map" = $p1
  AND m6.source = e1.source
  AND m6.target = e2.source
  AND m7."map" = $p1
  AND m7.source = e1.target
  AND m7.target = e2.target
  AND m8."map" = $p2
  AND m8.source = e3.source
  AND m8.target = e4.source
  AND m9."map" = $p2
  AND m9.source = e1.target
  AND m9.target = e4.target
  AND e1.source <> e2.source
  AND e1.source <> e2.target
  AND e1.source <> e4.source
  AND e1.source <> e4.target
  AND e1.target <> e2.source
  AND e1.target <> e2.target
  AND e1.target <> e4.source
  AND e1.target <> e4.target
  AND e2.source <> e3.source
  AND e2.source <> e4.source
  AND e2.source <> e4.target
  AND e2.target <> e3.source
  AND e2.target <> e4.source
  AND e2.target <> e4.target
  AND e3.source <> e4.source
  AND e3.source <> e4.target
  AND e1.share > $p3
  AND e2.share > $p3
  AND e3.share > $p4
  AND e4.share > $p4
  AND e1.share > e3.share
  AND u10.id = e1.source
ORDER BY
  score DESC,
  u10.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC,
  c3 ASC,
  c4 ASC,
  c5 ASC,
  c6 ASC
LIMIT 1001

-- p1 = "flip"
-- p2 = "rotate(180)"
-- p3 = 0.1
-- p4 = 0.0
