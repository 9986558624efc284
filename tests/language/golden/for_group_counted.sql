SELECT
  e1.source AS c0,
  e1.target AS c1,
  e1.share AS score
FROM edge AS e1
CROSS JOIN unit AS u3
WHERE
  e1.kind = 'EXCITES'
  AND u3.id = e1.source
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
        FROM edge AS e5
        CROSS JOIN "map" AS m6
        CROSS JOIN "map" AS m7
        CROSS JOIN unit AS u9
        WHERE
          e5.kind = 'EXCITES'
          AND m6."map" = $p1
          AND m6.source = e1.source
          AND m6.target = e5.source
          AND m7."map" = $p1
          AND m7.source = e1.target
          AND m7.target = e5.target
          AND e5.source <> e1.source
          AND e5.source <> e1.target
          AND e5.target <> e1.source
          AND e5.target <> e1.target
          AND u9.id = e5.source
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
        FROM edge AS e10
        CROSS JOIN "map" AS m11
        CROSS JOIN "map" AS m12
        CROSS JOIN unit AS u14
        WHERE
          e10.kind = 'EXCITES'
          AND m11."map" = $p2
          AND m11.source = e1.source
          AND m11.target = e10.source
          AND m12."map" = $p2
          AND m12.source = e1.target
          AND m12.target = e10.target
          AND e10.source <> e1.source
          AND e10.source <> e1.target
          AND e10.target <> e1.source
          AND e10.target <> e1.target
          AND u14.id = e10.source
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
        FROM edge AS e15
        CROSS JOIN "map" AS m16
        CROSS JOIN "map" AS m17
        CROSS JOIN unit AS u19
        WHERE
          e15.kind = 'EXCITES'
          AND m16."map" = $p3
          AND m16.source = e1.source
          AND m16.target = e15.source
          AND m17."map" = $p3
          AND m17.source = e1.target
          AND m17.target = e15.target
          AND e15.source <> e1.source
          AND e15.source <> e1.target
          AND e15.target <> e1.source
          AND e15.target <> e1.target
          AND u19.id = e15.source
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
