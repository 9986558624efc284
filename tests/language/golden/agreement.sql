SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.source AS c2,
  e2.target AS c3,
  e1.rowid AS r0,
  e2.rowid AS r1,
  (
    SELECT
      a16.value
    FROM agreement7 AS a16
    WHERE
      a16.left_source = e1.source
      AND a16.left_target = e1.target
      AND a16.right_source = e2.source
      AND a16.right_target = e2.target
  ) AS score
FROM edge AS e2
JOIN (
  edge AS e1
    JOIN (
      unit AS u8
        JOIN "map" AS m3
          ON u8.id = m3.source
    )
      ON e1.source = u8.id
    JOIN "map" AS m4
      ON e1.target = m4.source
)
  ON e2.source = m3.target AND e2.target = m4.target
WHERE
  e1.kind <> 'SKIP'
  AND e2.kind <> 'SKIP'
  AND m3."map" = $p1
  AND m4."map" = $p1
  AND e1.source <> e2.source
  AND e1.source <> e2.target
  AND e1.target <> e2.source
  AND e1.target <> e2.target
  AND (
    (
      SELECT
        a5.value
      FROM agreement1 AS a5
      WHERE
        a5.left_source = e1.source
        AND a5.left_target = e1.target
        AND a5.right_source = e2.source
        AND a5.right_target = e2.target
    ) > $p2
    OR (
      SELECT
        a6.value
      FROM agreement2 AS a6
      WHERE
        a6.left_source = e1.source
        AND a6.left_target = e1.target
        AND a6.right_source = e2.source
        AND a6.right_target = e2.target
    ) IS NULL
  )
  AND NOT EXISTS(
    SELECT
      1
    FROM edge AS e7
    WHERE
      e7.kind <> 'SKIP'
      AND e7.source = e1.source
      AND e7.target <> e1.target
      AND e7.target <> e2.source
      AND e7.target <> e2.target
      AND (
        SELECT
          a9.value
        FROM agreement3 AS a9
        WHERE
          a9.left_source = e1.source
          AND a9.left_target = e1.target
          AND a9.right_source = e7.source
          AND a9.right_target = e7.target
      ) > $p3
  )
  AND NOT (
    e2.source < e1.source
    AND (
      (
        (
          (
            (
              SELECT
                a12.value
              FROM agreement4 AS a12
              WHERE
                a12.left_source = e2.source
                AND a12.left_target = e2.target
                AND a12.right_source = e1.source
                AND a12.right_target = e1.target
            ) > $p2
            OR (
              SELECT
                a13.value
              FROM agreement5 AS a13
              WHERE
                a13.left_source = e2.source
                AND a13.left_target = e2.target
                AND a13.right_source = e1.source
                AND a13.right_target = e1.target
            ) IS NULL
          )
        ) IS TRUE
      )
      AND (
        (
          NOT EXISTS(
            SELECT
              1
            FROM edge AS e14
            WHERE
              e14.kind <> 'SKIP'
              AND e14.source = e2.source
              AND e14.target <> e1.source
              AND e14.target <> e1.target
              AND e14.target <> e2.target
              AND (
                SELECT
                  a15.value
                FROM agreement6 AS a15
                WHERE
                  a15.left_source = e2.source
                  AND a15.left_target = e2.target
                  AND a15.right_source = e14.source
                  AND a15.right_target = e14.target
              ) > $p3
          )
        ) IS TRUE
      )
      AND EXISTS(
        SELECT
          1
        FROM "map" AS m10
        WHERE
          m10."map" = $p1 AND m10.source = e2.source AND m10.target = e1.source
      )
      AND EXISTS(
        SELECT
          1
        FROM "map" AS m11
        WHERE
          m11."map" = $p1 AND m11.source = e2.target AND m11.target = e1.target
      )
    )
  )
ORDER BY
  score DESC,
  u8.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC,
  c3 ASC
LIMIT 1001

-- p1 = "flip"
-- p2 = 0.5
-- p3 = 0.99
-- agreement1: Agreement(left='e', left_maps=('rotate(90)', 'flip'), right='f', right_maps=())
-- agreement2: Agreement(left='e', left_maps=(), right='f', right_maps=())
-- agreement3: Agreement(left='e', left_maps=(), right='g', right_maps=())
-- agreement4: Agreement(left='f', left_maps=('rotate(90)', 'flip'), right='e', right_maps=())
-- agreement5: Agreement(left='f', left_maps=(), right='e', right_maps=())
-- agreement6: Agreement(left='f', left_maps=(), right='g', right_maps=())
-- agreement7: Agreement(left='e', left_maps=('flip_vertical',), right='f', right_maps=())
