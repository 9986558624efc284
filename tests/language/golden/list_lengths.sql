SELECT
  e1.source AS c0,
  e2.source AS c1,
  e1.target AS c2,
  e1.rowid AS r0,
  e2.rowid AS r1,
  LEAST(e1.share, e2.share) AS score
FROM edge AS e1
JOIN unit AS u4
  ON e1.source = u4.id
JOIN edge AS e2
  ON e1.target = e2.target
WHERE
  e1.kind <> 'SKIP'
  AND e2.kind <> 'SKIP'
  AND e1.source <> e2.source
  AND (
    SELECT
      COUNT(DISTINCT e3.target)
    FROM edge AS e3
    WHERE
      e3.kind <> 'SKIP'
      AND e3.source = e1.source
      AND e3.target <> e2.source
      AND e3.target <> e1.target
  ) > (
    SELECT
      COUNT(DISTINCT e5.target)
    FROM edge AS e5
    WHERE
      e5.kind <> 'SKIP'
      AND e5.source = e2.source
      AND e5.target <> e1.source
      AND e5.target <> e1.target
  )
  AND EXISTS(
    SELECT
      1
    FROM edge AS e6
    WHERE
      e6.kind <> 'SKIP'
      AND e6.source = e1.source
      AND e6.target <> e2.source
      AND e6.target <> e1.target
  )
  AND EXISTS(
    SELECT
      1
    FROM edge AS e7
    WHERE
      e7.kind <> 'SKIP'
      AND e7.source = e2.source
      AND e7.target <> e1.source
      AND e7.target <> e1.target
  )
  AND NOT (
    e2.source < e1.source
    AND (
      (
        (
          (
            SELECT
              COUNT(DISTINCT e8.target)
            FROM edge AS e8
            WHERE
              e8.kind <> 'SKIP'
              AND e8.source = e2.source
              AND e8.target <> e1.source
              AND e8.target <> e1.target
          ) > (
            SELECT
              COUNT(DISTINCT e9.target)
            FROM edge AS e9
            WHERE
              e9.kind <> 'SKIP'
              AND e9.source = e1.source
              AND e9.target <> e2.source
              AND e9.target <> e1.target
          )
        ) IS TRUE
      )
      AND EXISTS(
        SELECT
          1
        FROM edge AS e10
        WHERE
          e10.kind <> 'SKIP'
          AND e10.source = e2.source
          AND e10.target <> e1.source
          AND e10.target <> e1.target
      )
      AND EXISTS(
        SELECT
          1
        FROM edge AS e11
        WHERE
          e11.kind <> 'SKIP'
          AND e11.source = e1.source
          AND e11.target <> e2.source
          AND e11.target <> e1.target
      )
    )
  )
ORDER BY
  score DESC,
  u4.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC
LIMIT 1001


