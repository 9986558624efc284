SELECT
  e1.source AS c0,
  e2.source AS c1,
  e1.target AS c2,
  e1.rowid AS r0,
  e2.rowid AS r1,
  LEAST(e1.share, e2.share) AS score
FROM edge AS e2
JOIN unit AS u5
  ON e2.source = u5.id
JOIN (
  edge AS e1
    JOIN unit AS u3
      ON e1.source = u3.id
)
  ON e2.target = e1.target
WHERE
  e1.kind = 'EXCITES'
  AND e2.kind = 'EXCITES'
  AND e1.source <> e2.source
  AND u3.layer = $p1
  AND NOT EXISTS(
    SELECT
      1
    FROM edge AS e4
    WHERE
      e4.kind = 'INHIBITS' AND e4.source = e2.source AND e4.target <> e1.source
  )
  AND NOT (
    e2.source < e1.source
    AND (
      (
        (
          u5.layer = $p1
        ) IS TRUE
      )
      AND (
        (
          NOT EXISTS(
            SELECT
              1
            FROM edge AS e6
            WHERE
              e6.kind = 'INHIBITS' AND e6.source = e1.source AND e6.target <> e2.source
          )
        ) IS TRUE
      )
    )
  )
ORDER BY
  score DESC,
  u3.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC
LIMIT 1001

-- p1 = "mixed3b"
