SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.source AS c2,
  e2.target AS c3,
  e3.source AS c4,
  e4.source AS c5,
  e4.target AS c6,
  e1.rowid AS r0,
  e2.rowid AS r1,
  e3.rowid AS r2,
  e4.rowid AS r3,
  e5.rowid AS r4,
  LEAST(e1.share, e2.share, e3.share, e4.share, e5.share) AS score
FROM edge AS e4
JOIN (
  "map" AS m8
    JOIN (
      edge AS e5
        JOIN (
          edge AS e3
            JOIN (
              edge AS e2
                JOIN (
                  edge AS e1
                    JOIN (
                      "map" AS m9
                        JOIN "map" AS m7
                          ON m9.source = m7.source
                    )
                      ON e1.target = m9.source
                    JOIN (
                      unit AS u10
                        JOIN "map" AS m6
                          ON u10.id = m6.source
                    )
                      ON e1.source = u10.id
                )
                  ON e2.source = m6.target AND e2.target = m7.target
            )
              ON e3.target = e1.target
        )
          ON e5.source = e1.source AND e5.target = e3.source
    )
      ON m8.source = e5.target
)
  ON e4.source = m8.target AND e4.target = m9.target
WHERE
  e1.kind = 'EXCITES'
  AND e2.kind = 'EXCITES'
  AND e3.kind = 'EXCITES'
  AND e4.kind = 'EXCITES'
  AND e5.kind <> 'SKIP'
  AND m6."map" = $p1
  AND m7."map" = $p1
  AND m8."map" = $p2
  AND m9."map" = $p2
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
