SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.source AS c2,
  e2.target AS c3,
  e5.target AS c4,
  e1.rowid AS r0,
  e2.rowid AS r1,
  e3.rowid AS r2,
  e4.rowid AS r3,
  e5.rowid AS r4,
  e6.rowid AS r5,
  LEAST(e1.share, e2.share, e3.share, e4.share, e5.share, e6.share) AS score,
  LEAST(e1.share, e2.share, e3.share, e4.share, e5.share, e6.share) AS ranking
FROM edge AS e4
JOIN (
  edge AS e2
    JOIN (
      "map" AS m7
        JOIN (
          edge AS e3
            JOIN (
              edge AS e1
                JOIN (
                  unit AS u13
                    JOIN (
                      edge AS e6
                        JOIN (
                          "map" AS m8
                            JOIN (
                              unit AS u10
                                JOIN (
                                  edge AS e5
                                    JOIN "map" AS m9
                                      ON e5.target = m9.source
                                )
                                  ON u10.id = e5.source
                            )
                              ON m8.source = u10.id
                        )
                          ON e6.source = m8.target AND e6.target = e5.target
                    )
                      ON u13.id = e6.source
                )
                  ON e1.target = m8.source
            )
              ON e3.source = e1.source AND e3.target = u13.id
        )
          ON m7.source = e3.source
    )
      ON e2.source = m7.target AND e2.target = e3.target
)
  ON e4.source = e2.source AND e4.target = e1.target
WHERE
  e1.kind = 'EXCITES'
  AND e2.kind = 'EXCITES'
  AND e3.kind = 'INHIBITS'
  AND e4.kind = 'INHIBITS'
  AND e5.kind = 'EXCITES'
  AND e6.kind = 'EXCITES'
  AND m7."map" = $p1
  AND m8."map" = $p1
  AND m9."map" = $p1
  AND m9.target = m9.source
  AND e1.model_id = $p2
  AND e2.model_id = $p2
  AND e3.model_id = $p2
  AND e4.model_id = $p2
  AND e5.model_id = $p2
  AND e6.model_id = $p2
  AND m7.model_id = $p2
  AND m8.model_id = $p2
  AND m9.model_id = $p2
  AND e1.share > $p3
  AND e2.share > $p3
  AND e3.share > $p3
  AND e4.share > $p3
  AND e5.share > $p3
  AND e6.share > $p3
  AND u10.layer = $p4
  AND NOT (
    e2.source < e1.source
    AND (
      (
        (
          u13.layer = $p4
        ) IS TRUE
      )
      AND EXISTS(
        SELECT
          1
        FROM "map" AS m11
        WHERE
          m11."map" = $p1
          AND m11.source = e2.source
          AND m11.target = e1.source
          AND m11.model_id = $p2
      )
      AND EXISTS(
        SELECT
          1
        FROM "map" AS m12
        WHERE
          m12."map" = $p1
          AND m12.source = e2.target
          AND m12.target = e1.target
          AND m12.model_id = $p2
      )
    )
  )
ORDER BY
  ranking DESC,
  c0 ASC,
  c1 ASC,
  c2 ASC,
  c3 ASC,
  c4 ASC
LIMIT 21

-- p1 = "flip"
-- p2 = 2
-- p3 = 0.005
-- p4 = "mixed4b"
