SELECT
  e2.source AS c0,
  e1.source AS c1,
  e1.target AS c2,
  e1.rowid AS r0,
  e2.rowid AS r1,
  LEAST(e1.share, e2.share) AS score
FROM edge AS e2
JOIN (
  edge AS e1
    JOIN (
      unit AS u5
        JOIN (
          "map" AS m3
            JOIN "map" AS m4
              ON m3.source = m4.target AND m3.target = m4.source
        )
          ON u5.id = m3.target
    )
      ON e1.source = m3.source
)
  ON e2.source = u5.id AND e2.target = e1.target
WHERE
  e1.kind <> 'SKIP'
  AND e2.kind <> 'SKIP'
  AND m3."map" = $p1
  AND m4."map" = $p2
  AND e2.source <> e1.source
ORDER BY
  score DESC,
  u5.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC
LIMIT 1001

-- p1 = "rotate(90)"
-- p2 = "rotate(270)"
