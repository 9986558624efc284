SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.source AS c2,
  e1.rowid AS r0,
  e2.rowid AS r1,
  LEAST(e1.share, e2.share) AS score
FROM unit AS u7
JOIN (
  edge AS e2
    JOIN (
      "map" AS m3
        JOIN (
          edge AS e1
            JOIN "map" AS m4
              ON e1.target = m4.source
        )
          ON m3.source = e1.source
    )
      ON e2.source = m3.target AND e2.target = e1.target
)
  ON u7.id = m3.source
WHERE
  e1.kind <> 'SKIP'
  AND e2.kind <> 'SKIP'
  AND m3."map" = $p1
  AND m4."map" = $p1
  AND m4.target = m4.source
  AND e1.source <> e2.source
  AND m4.score > $p2
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
