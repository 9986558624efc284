SELECT
  u1.id AS c0,
  (
    CAST((
      SELECT
        COUNT(DISTINCT e13.source)
      FROM edge AS e13
      WHERE
        e13.kind = 'EXCITES'
        AND e13.target = u1.id
        AND e13.model_id = u1.model_id
        AND e13.rank_in <= $p2
    ) AS DOUBLE) / NULLIF(
      (
        $p6 + CAST((
          SELECT
            COUNT(DISTINCT e14.source)
          FROM edge AS e15
          JOIN (
            unit AS u17
              JOIN edge AS e14
                ON u17.id = e14.source
          )
            ON e15.source = u17.id
          WHERE
            e14.kind = 'INHIBITS'
            AND e14.target = u1.id
            AND e15.kind <> 'SKIP'
            AND e14.model_id = u1.model_id
            AND e15.target <> u1.id
            AND NOT EXISTS(
              SELECT
                1
              FROM edge AS e16
              WHERE
                e16.kind = 'EXCITES' AND e16.source = e14.source AND e16.target = e15.target
            )
        ) AS DOUBLE)
      ),
      0
    )
  ) AS score
FROM unit AS u1
WHERE
  u1.layer = $p1
  AND (
    SELECT
      COUNT(DISTINCT e2.source)
    FROM edge AS e2
    WHERE
      e2.kind = 'EXCITES'
      AND e2.target = u1.id
      AND e2.model_id = u1.model_id
      AND e2.rank_in <= $p2
  ) > (
    SELECT
      COUNT(DISTINCT e3.source)
    FROM edge AS e4
    JOIN (
      unit AS u6
        JOIN edge AS e3
          ON u6.id = e3.source
    )
      ON e4.source = u6.id
    WHERE
      e3.kind = 'INHIBITS'
      AND e3.target = u1.id
      AND e4.kind <> 'SKIP'
      AND e3.model_id = u1.model_id
      AND e4.target <> u1.id
      AND NOT EXISTS(
        SELECT
          1
        FROM edge AS e5
        WHERE
          e5.kind = 'EXCITES' AND e5.source = e3.source AND e5.target = e4.target
      )
  )
  AND (
    SELECT
      COUNT(DISTINCT e7.source)
    FROM edge AS e7
    WHERE
      e7.kind = 'EXCITES'
      AND e7.target = u1.id
      AND e7.model_id = u1.model_id
      AND e7.rank_in <= $p2
  ) >= $p3
  AND (
    SELECT
      COUNT(DISTINCT e8.source)
    FROM edge AS e9
    JOIN (
      unit AS u11
        JOIN edge AS e8
          ON u11.id = e8.source
    )
      ON e9.source = u11.id
    WHERE
      e8.kind = 'INHIBITS'
      AND e8.target = u1.id
      AND e9.kind <> 'SKIP'
      AND e8.model_id = u1.model_id
      AND e9.target <> u1.id
      AND NOT EXISTS(
        SELECT
          1
        FROM edge AS e10
        WHERE
          e10.kind = 'EXCITES' AND e10.source = e8.source AND e10.target = e9.target
      )
  ) <= $p4
  AND NOT EXISTS(
    SELECT
      1
    FROM edge AS e12
    WHERE
      e12.kind <> 'SKIP' AND e12.source = u1.id AND e12.share > $p5
  )
ORDER BY
  score DESC,
  u1.model ASC,
  c0 ASC
LIMIT 1001

-- p1 = "mixed4a"
-- p2 = 8.0
-- p3 = 2
-- p4 = 1
-- p5 = 0.9
-- p6 = 1.0
