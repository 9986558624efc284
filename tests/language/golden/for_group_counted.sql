SELECT
  e1.source AS c0,
  e1.target AS c1,
  e1.rowid AS r0,
  e1.share AS score
FROM edge AS e1
JOIN unit AS u3
  ON e1.source = u3.id
WHERE
  e1.kind = 'EXCITES'
  AND (
    0 + CASE
      WHEN (
        (
          (
            NOT EXISTS(
              SELECT
                1
              FROM edge AS e4
              WHERE
                e4.kind = 'INHIBITS' AND e4.source = e1.source AND e4.target = e1.target
            )
          ) IS TRUE
        )
        AND EXISTS(
          SELECT
            1
          FROM edge AS e2
          WHERE
            e2.kind = 'EXCITES' AND e2.source = e1.source AND e2.target = e1.target
        )
      )
      THEN 1
      ELSE 0
    END + CASE
      WHEN EXISTS(
        SELECT
          1
        FROM unit AS u9
        JOIN (
          edge AS e5
            JOIN "map" AS m7
              ON e5.target = m7.target
            JOIN "map" AS m6
              ON e5.source = m6.target
        )
          ON u9.id = e5.source
        WHERE
          e5.kind = 'EXCITES'
          AND m6."map" = $p1
          AND m6.source = e1.source
          AND m7."map" = $p1
          AND m7.source = e1.target
          AND e5.source <> e1.source
          AND e5.source <> e1.target
          AND e5.target <> e1.source
          AND e5.target <> e1.target
          AND NOT EXISTS(
            SELECT
              1
            FROM edge AS e8
            WHERE
              e8.kind = 'INHIBITS' AND e8.source = e5.source AND e8.target = e1.target
          )
      )
      THEN 1
      ELSE 0
    END + CASE
      WHEN EXISTS(
        SELECT
          1
        FROM unit AS u14
        JOIN (
          edge AS e10
            JOIN "map" AS m12
              ON e10.target = m12.target
            JOIN "map" AS m11
              ON e10.source = m11.target
        )
          ON u14.id = e10.source
        WHERE
          e10.kind = 'EXCITES'
          AND m11."map" = $p2
          AND m11.source = e1.source
          AND m12."map" = $p2
          AND m12.source = e1.target
          AND e10.source <> e1.source
          AND e10.source <> e1.target
          AND e10.target <> e1.source
          AND e10.target <> e1.target
          AND NOT EXISTS(
            SELECT
              1
            FROM edge AS e13
            WHERE
              e13.kind = 'INHIBITS' AND e13.source = e10.source AND e13.target = e1.target
          )
      )
      THEN 1
      ELSE 0
    END + CASE
      WHEN EXISTS(
        SELECT
          1
        FROM unit AS u19
        JOIN (
          edge AS e15
            JOIN "map" AS m17
              ON e15.target = m17.target
            JOIN "map" AS m16
              ON e15.source = m16.target
        )
          ON u19.id = e15.source
        WHERE
          e15.kind = 'EXCITES'
          AND m16."map" = $p3
          AND m16.source = e1.source
          AND m17."map" = $p3
          AND m17.source = e1.target
          AND e15.source <> e1.source
          AND e15.source <> e1.target
          AND e15.target <> e1.source
          AND e15.target <> e1.target
          AND NOT EXISTS(
            SELECT
              1
            FROM edge AS e18
            WHERE
              e18.kind = 'INHIBITS' AND e18.source = e15.source AND e18.target = e1.target
          )
      )
      THEN 1
      ELSE 0
    END
  ) >= $p4
ORDER BY
  score DESC,
  u3.model ASC,
  c0 ASC,
  c1 ASC
LIMIT 1001

-- p1 = "rotate(90)"
-- p2 = "rotate(180)"
-- p3 = "rotate(270)"
-- p4 = 3
