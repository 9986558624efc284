SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.target AS c2,
  e1.rowid AS r0,
  e2.rowid AS r1,
  LEAST(e1.share, e2.share) AS score
FROM edge AS e1
JOIN unit AS u4
  ON e1.source = u4.id
JOIN edge AS e2
  ON e1.target = e2.source
WHERE
  e1.kind = 'EXCITES'
  AND e2.kind = 'EXCITES'
  AND NOT EXISTS(
    SELECT
      1
    FROM edge AS e3
    WHERE
      e3.kind <> 'SKIP' AND e3.source = e1.source AND e3.target = e2.target
  )
  AND NOT EXISTS(
    SELECT
      1
    FROM unit AS u7
    JOIN (
      edge AS e6
        JOIN edge AS e5
          ON e6.source = e5.source
    )
      ON u7.id = e6.source
    WHERE
      e5.kind = 'EXCITES'
      AND e5.target = e1.target
      AND e6.kind = 'EXCITES'
      AND e6.target = e2.target
      AND e5.model_id = u4.model_id
      AND e5.source <> e1.source
      AND e5.share > $p1
      AND u7.layer = u4.layer
      AND NOT EXISTS(
        SELECT
          1
        FROM edge AS e8
        WHERE
          e8.kind = 'SKIP' AND e8.source = e5.source AND e8.target = e2.target
      )
  )
ORDER BY
  score DESC,
  u4.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC
LIMIT 1001

-- p1 = 0.5
