SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.source AS c2,
  LEAST(e1.share, e2.share) AS score
FROM edge AS e1
CROSS JOIN edge AS e2
CROSS JOIN "map" AS m3
CROSS JOIN "map" AS m4
CROSS JOIN unit AS u7
WHERE
  e1.kind <> 'SKIP'
  AND e2.kind <> 'SKIP'
  AND e2.target = e1.target
  AND m3."map" = $p1
  AND m3.source = e1.source
  AND m3.target = e2.source
  AND m4."map" = $p1
  AND m4.source = e1.target
  AND m4.target = e1.target
  AND e1.source <> e2.source
  AND m4.score > $p2
  AND u7.id = e1.source
  AND NOT (
    e2.source < e1.source
    AND (
      EXISTS(
        SELECT
          1
        FROM "map" AS m5
        WHERE
          m5."map" = $p1 AND m5.source = e2.source AND m5.target = e1.source
      )
      AND EXISTS(
        SELECT
          1
        FROM "map" AS m6
        WHERE
          m6."map" = $p1 AND m6.source = e1.target AND m6.target = e1.target
      )
    )
  )
ORDER BY
  score DESC,
  u7.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC
LIMIT 1001

-- p1 = "flip"
-- p2 = 0.7
