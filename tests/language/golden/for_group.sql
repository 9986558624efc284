SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.source AS c2,
  e2.target AS c3,
  e3.source AS c4,
  e3.target AS c5,
  e4.source AS c6,
  e4.target AS c7,
  e1.rowid AS r0,
  e2.rowid AS r1,
  e3.rowid AS r2,
  e4.rowid AS r3,
  LEAST(e1.share, e2.share, e3.share, e4.share) AS score
FROM edge AS e4
JOIN (
  edge AS e3
    JOIN (
      edge AS e2
        JOIN (
          edge AS e1
            JOIN (
              unit AS u17
                JOIN (
                  "map" AS m9
                    JOIN (
                      "map" AS m7
                        JOIN "map" AS m5
                          ON m7.source = m5.source
                    )
                      ON m9.source = m7.source
                )
                  ON u17.id = m9.source
            )
              ON e1.source = u17.id
            JOIN (
              "map" AS m10
                JOIN (
                  "map" AS m8
                    JOIN "map" AS m6
                      ON m8.source = m6.source
                )
                  ON m10.source = m8.source
            )
              ON e1.target = m10.source
        )
          ON e2.source = m5.target AND e2.target = m6.target
    )
      ON e3.source = m7.target AND e3.target = m8.target
)
  ON e4.source = m9.target AND e4.target = m10.target
WHERE
  e1.kind = 'EXCITES'
  AND e2.kind = 'EXCITES'
  AND e3.kind = 'EXCITES'
  AND e4.kind = 'EXCITES'
  AND m5."map" = $p1
  AND m6."map" = $p1
  AND m7."map" = $p2
  AND m8."map" = $p2
  AND m9."map" = $p3
  AND m10."map" = $p3
  AND e1.source <> e2.source
  AND e1.source <> e2.target
  AND e1.source <> e3.source
  AND e1.source <> e3.target
  AND e1.source <> e4.source
  AND e1.source <> e4.target
  AND e1.target <> e2.source
  AND e1.target <> e2.target
  AND e1.target <> e3.source
  AND e1.target <> e3.target
  AND e1.target <> e4.source
  AND e1.target <> e4.target
  AND e2.source <> e3.source
  AND e2.source <> e3.target
  AND e2.source <> e4.source
  AND e2.source <> e4.target
  AND e2.target <> e3.source
  AND e2.target <> e3.target
  AND e2.target <> e4.source
  AND e2.target <> e4.target
  AND e3.source <> e4.source
  AND e3.source <> e4.target
  AND e3.target <> e4.source
  AND e3.target <> e4.target
  AND e1.share > $p4
  AND e2.share > $p4
  AND e3.share > $p4
  AND e4.share > $p4
  AND NOT (
    e2.source < e1.source
    AND (
      EXISTS(
        SELECT
          1
        FROM "map" AS m11
        WHERE
          m11."map" = $p1 AND m11.source = e2.source AND m11.target = e3.source
      )
      AND EXISTS(
        SELECT
          1
        FROM "map" AS m12
        WHERE
          m12."map" = $p1 AND m12.source = e2.target AND m12.target = e3.target
      )
      AND EXISTS(
        SELECT
          1
        FROM "map" AS m13
        WHERE
          m13."map" = $p2 AND m13.source = e2.source AND m13.target = e4.source
      )
      AND EXISTS(
        SELECT
          1
        FROM "map" AS m14
        WHERE
          m14."map" = $p2 AND m14.source = e2.target AND m14.target = e4.target
      )
      AND EXISTS(
        SELECT
          1
        FROM "map" AS m15
        WHERE
          m15."map" = $p3 AND m15.source = e2.source AND m15.target = e1.source
      )
      AND EXISTS(
        SELECT
          1
        FROM "map" AS m16
        WHERE
          m16."map" = $p3 AND m16.source = e2.target AND m16.target = e1.target
      )
    )
  )
  AND NOT (
    e3.source < e1.source
    AND (
      EXISTS(
        SELECT
          1
        FROM "map" AS m18
        WHERE
          m18."map" = $p1 AND m18.source = e3.source AND m18.target = e4.source
      )
      AND EXISTS(
        SELECT
          1
        FROM "map" AS m19
        WHERE
          m19."map" = $p1 AND m19.source = e3.target AND m19.target = e4.target
      )
      AND EXISTS(
        SELECT
          1
        FROM "map" AS m20
        WHERE
          m20."map" = $p2 AND m20.source = e3.source AND m20.target = e1.source
      )
      AND EXISTS(
        SELECT
          1
        FROM "map" AS m21
        WHERE
          m21."map" = $p2 AND m21.source = e3.target AND m21.target = e1.target
      )
      AND EXISTS(
        SELECT
          1
        FROM "map" AS m22
        WHERE
          m22."map" = $p3 AND m22.source = e3.source AND m22.target = e2.source
      )
      AND EXISTS(
        SELECT
          1
        FROM "map" AS m23
        WHERE
          m23."map" = $p3 AND m23.source = e3.target AND m23.target = e2.target
      )
    )
  )
  AND NOT (
    e4.source < e1.source
    AND (
      EXISTS(
        SELECT
          1
        FROM "map" AS m24
        WHERE
          m24."map" = $p1 AND m24.source = e4.source AND m24.target = e1.source
      )
      AND EXISTS(
        SELECT
          1
        FROM "map" AS m25
        WHERE
          m25."map" = $p1 AND m25.source = e4.target AND m25.target = e1.target
      )
      AND EXISTS(
        SELECT
          1
        FROM "map" AS m26
        WHERE
          m26."map" = $p2 AND m26.source = e4.source AND m26.target = e2.source
      )
      AND EXISTS(
        SELECT
          1
        FROM "map" AS m27
        WHERE
          m27."map" = $p2 AND m27.source = e4.target AND m27.target = e2.target
      )
      AND EXISTS(
        SELECT
          1
        FROM "map" AS m28
        WHERE
          m28."map" = $p3 AND m28.source = e4.source AND m28.target = e3.source
      )
      AND EXISTS(
        SELECT
          1
        FROM "map" AS m29
        WHERE
          m29."map" = $p3 AND m29.source = e4.target AND m29.target = e3.target
      )
    )
  )
ORDER BY
  score DESC,
  u17.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC,
  c3 ASC,
  c4 ASC,
  c5 ASC,
  c6 ASC,
  c7 ASC
LIMIT 1001

-- p1 = "rotate(90)"
-- p2 = "rotate(180)"
-- p3 = "rotate(270)"
-- p4 = 0.05
