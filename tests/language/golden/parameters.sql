SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.source AS c2,
  e3.source AS c3,
  e1.rowid AS r0,
  e2.rowid AS r1,
  e3.rowid AS r2,
  LEAST(e1.share, e2.share, e3.share) AS score
FROM edge AS e2
JOIN (
  edge AS e3
    JOIN (
      edge AS e1
        JOIN (
          "map" AS m5
            JOIN (
              "map" AS m4
                JOIN unit AS u6
                  ON m4.source = u6.id
            )
              ON m5.source = m4.source
        )
          ON e1.source = m5.source
    )
      ON e3.source = m5.target AND e3.target = e1.target
)
  ON e2.source = m4.target AND e2.target = e3.target
WHERE
  e1.kind <> 'SKIP'
  AND e2.kind <> 'SKIP'
  AND e3.kind <> 'SKIP'
  AND m4."map" = $p1
  AND m5."map" = $p2
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
