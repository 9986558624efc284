SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.target AS c2,
  e3.source AS c3,
  e1.rowid AS r0,
  e2.rowid AS r1,
  e3.rowid AS r2,
  LEAST(e1.share, e2.share, e3.share) AS score
FROM edge AS e1
JOIN unit AS u9
  ON e1.source = u9.id
JOIN edge AS e2
  ON e1.target = e2.source
JOIN edge AS e3
  ON e1.target = e3.target
WHERE
  e1.kind = 'EXCITES'
  AND e2.kind <> 'SKIP'
  AND e3.kind = 'INHIBITS'
  AND (
    SELECT
      m4.target
    FROM "map" AS m4
    WHERE
      m4.source = e1.source AND m4."map" = $p1
  ) <> e1.target
  AND (
    (
      SELECT
        m5.target
      FROM "map" AS m5
      WHERE
        m5.source = e2.target AND m5."map" = $p1
    ) = e2.target
    OR e1.share > $p2
  )
  AND (
    (
      SELECT
        m6.target
      FROM "map" AS m6
      WHERE
        m6.source = e2.target AND m6."map" = $p1
    ) = e2.target
    OR e2.share > $p2
  )
  AND (
    (
      SELECT
        m7.target
      FROM "map" AS m7
      WHERE
        m7.source = e2.target AND m7."map" = $p1
    ) = e2.target
    OR e3.share > $p2
  )
  AND (
    SELECT
      COUNT(DISTINCT e8.target)
    FROM unit AS u12
    JOIN edge AS e8
      ON u12.id = e8.target
    WHERE
      e8.kind <> 'SKIP'
      AND e8.source = e3.source
      AND e8.target <> e1.source
      AND e8.target <> e1.target
      AND e8.target <> e2.target
      AND (
        (
          SELECT
            m10.target
          FROM "map" AS m10
          WHERE
            m10.source = e2.target AND m10."map" = $p1
        ) = e2.target
        OR e8.share > $p2
      )
      AND (
        0 + CASE
          WHEN (
            (
              (
                NOT EXISTS(
                  SELECT
                    1
                  FROM edge AS e14
                  WHERE
                    e14.kind = 'INHIBITS' AND e14.source = e1.source AND e14.target = e1.target
                )
              ) IS TRUE
            )
            AND EXISTS(
              SELECT
                1
              FROM edge AS e11
              WHERE
                e11.kind <> 'SKIP'
                AND e11.source = e1.source
                AND e11.target = e1.target
                AND (
                  (
                    SELECT
                      m13.target
                    FROM "map" AS m13
                    WHERE
                      m13.source = e2.target AND m13."map" = $p1
                  ) = e2.target
                  OR e11.share > $p2
                )
            )
          )
          THEN 1
          ELSE 0
        END + CASE
          WHEN EXISTS(
            SELECT
              1
            FROM unit AS u20
            JOIN (
              edge AS e15
                JOIN "map" AS m17
                  ON e15.target = m17.target
                JOIN "map" AS m16
                  ON e15.source = m16.target
            )
              ON u20.id = e15.source
            WHERE
              e15.kind <> 'SKIP'
              AND m16."map" = $p3
              AND m16.source = e1.source
              AND m17."map" = $p3
              AND m17.source = e1.target
              AND e15.source <> e1.source
              AND e15.source <> e1.target
              AND e15.source <> e2.target
              AND e15.source <> e3.source
              AND e15.source <> e8.target
              AND e15.target <> e1.source
              AND e15.target <> e1.target
              AND e15.target <> e2.target
              AND e15.target <> e3.source
              AND e15.target <> e8.target
              AND (
                (
                  SELECT
                    m18.target
                  FROM "map" AS m18
                  WHERE
                    m18.source = e2.target AND m18."map" = $p1
                ) = e2.target
                OR e15.share > $p2
              )
              AND NOT EXISTS(
                SELECT
                  1
                FROM edge AS e19
                WHERE
                  e19.kind = 'INHIBITS' AND e19.source = e15.source AND e19.target = e1.target
              )
          )
          THEN 1
          ELSE 0
        END + CASE
          WHEN EXISTS(
            SELECT
              1
            FROM unit AS u26
            JOIN (
              edge AS e21
                JOIN "map" AS m23
                  ON e21.target = m23.target
                JOIN "map" AS m22
                  ON e21.source = m22.target
            )
              ON u26.id = e21.source
            WHERE
              e21.kind <> 'SKIP'
              AND m22."map" = $p4
              AND m22.source = e1.source
              AND m23."map" = $p4
              AND m23.source = e1.target
              AND e21.source <> e1.source
              AND e21.source <> e1.target
              AND e21.source <> e2.target
              AND e21.source <> e3.source
              AND e21.source <> e8.target
              AND e21.target <> e1.source
              AND e21.target <> e1.target
              AND e21.target <> e2.target
              AND e21.target <> e3.source
              AND e21.target <> e8.target
              AND (
                (
                  SELECT
                    m24.target
                  FROM "map" AS m24
                  WHERE
                    m24.source = e2.target AND m24."map" = $p1
                ) = e2.target
                OR e21.share > $p2
              )
              AND NOT EXISTS(
                SELECT
                  1
                FROM edge AS e25
                WHERE
                  e25.kind = 'INHIBITS' AND e25.source = e21.source AND e25.target = e1.target
              )
          )
          THEN 1
          ELSE 0
        END
      ) >= $p5
  ) >= $p6
ORDER BY
  score DESC,
  u9.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC,
  c3 ASC
LIMIT 1001

-- p1 = "flip"
-- p2 = 0.01
-- p3 = "rotate(120)"
-- p4 = "rotate(240)"
-- p5 = 1
-- p6 = 2
