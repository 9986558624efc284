SELECT
  e1.source AS c0,
  e1.target AS c1,
  m5.target AS c2,
  e2.source AS c3,
  e2.target AS c4,
  e3.source AS c5,
  e3.target AS c6,
  m9.target AS c7,
  e4.source AS c8,
  e1.rowid AS r0,
  e2.rowid AS r1,
  e3.rowid AS r2,
  e4.rowid AS r3,
  LEAST(e1.share, e2.share, e3.share, e4.share) AS score
FROM edge AS e4
JOIN (
  edge AS e3
    JOIN (
      edge AS e1
        JOIN (
          edge AS e2
            JOIN (
              "map" AS m7
                JOIN "map" AS m6
                  ON m7.source = m6.target
            )
              ON e2.source = m6.source AND e2.target = m7.target
        )
          ON e1.target = m7.source
        JOIN (
          unit AS u14
            JOIN (
              "map" AS m10
                JOIN (
                  "map" AS m9
                    JOIN (
                      "map" AS m8
                        JOIN "map" AS m5
                          ON m8.source = m5.source
                    )
                      ON m9.source = m8.source
                )
                  ON m10.source = m9.target
            )
              ON u14.id = m9.source
        )
          ON e1.source = u14.id
    )
      ON e3.source = m8.target
)
  ON e4.source = m10.target AND e4.target = e3.target
WHERE
  e1.kind = 'EXCITES'
  AND e2.kind <> 'SKIP'
  AND e3.kind = 'EXCITES'
  AND e4.kind <> 'SKIP'
  AND m5."map" = $p1
  AND m6."map" = $p2
  AND m7."map" = $p3
  AND m8."map" = $p4
  AND m9."map" = $p5
  AND m10."map" = $p5
  AND e1.source <> m5.target
  AND e1.source <> e2.source
  AND e1.source <> e2.target
  AND e1.source <> e3.source
  AND e1.source <> e3.target
  AND e1.source <> m9.target
  AND e1.source <> e4.source
  AND e1.target <> m5.target
  AND e1.target <> e2.source
  AND e1.target <> e2.target
  AND e1.target <> e3.source
  AND e1.target <> e3.target
  AND e1.target <> m9.target
  AND e1.target <> e4.source
  AND m5.target <> e2.source
  AND m5.target <> e2.target
  AND m5.target <> e3.source
  AND m5.target <> e3.target
  AND m5.target <> m9.target
  AND m5.target <> e4.source
  AND e2.source <> e3.source
  AND e2.source <> e3.target
  AND e2.source <> m9.target
  AND e2.source <> e4.source
  AND e2.target <> e3.source
  AND e2.target <> e3.target
  AND e2.target <> m9.target
  AND e2.target <> e4.source
  AND e3.source <> m9.target
  AND e3.source <> e4.source
  AND e3.target <> m9.target
  AND m9.target <> e4.source
  AND (
    m5.score > $p6 AND m5.mutual
  )
  AND (
    m5.self_score < $p7
    AND (
      SELECT
        m11.target
      FROM "map" AS m11
      WHERE
        m11.source = e1.target AND m11."map" = $p1
    ) <> e1.target
    AND (
      SELECT
        u12.layer
      FROM unit AS u12
      WHERE
        u12.id = (
          SELECT
            m13.target
          FROM "map" AS m13
          WHERE
            m13.source = e2.source AND m13."map" = $p1
        )
    ) = $p8
  )
ORDER BY
  score DESC,
  u14.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC,
  c3 ASC,
  c4 ASC,
  c5 ASC,
  c6 ASC,
  c7 ASC,
  c8 ASC
LIMIT 1001

-- p1 = "flip"
-- p2 = "rotate(22.5)"
-- p3 = "negate"
-- p4 = "hue(270)"
-- p5 = "flip_vertical"
-- p6 = 0.5
-- p7 = 0.3
-- p8 = "mixed4b"
