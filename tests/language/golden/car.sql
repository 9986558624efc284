SELECT
  e1.source AS c0,
  e2.source AS c1,
  e3.source AS c2,
  e1.target AS c3,
  e1.rowid AS r0,
  e2.rowid AS r1,
  e3.rowid AS r2,
  LEAST(e1.share, e2.share, e3.share) AS score
FROM edge AS e3
JOIN (
  edge AS e2
    JOIN (
      edge AS e1
        JOIN unit AS u7
          ON e1.target = u7.id
        JOIN unit AS u4
          ON e1.source = u4.id
    )
      ON e2.target = e1.target
    JOIN unit AS u5
      ON e2.source = u5.id
)
  ON e3.target = e2.target
JOIN unit AS u6
  ON e3.source = u6.id
WHERE
  e1.kind <> 'SKIP'
  AND e2.kind <> 'SKIP'
  AND e3.kind = 'EXCITES'
  AND u4.layer = $p1
  AND u5.layer = $p1
  AND u6.layer = $p1
  AND u7.layer = $p2
  AND e1.source <> e2.source
  AND e1.source <> e3.source
  AND e2.source <> e3.source
  AND e1.target IN (
    SELECT
      l8.unit_id
    FROM label AS l8
    WHERE
      CONTAINS(l8.label_folded, $p3)
  )
  AND (
    e1.top > $p4 AND e1.bottom < $p4
  )
  AND (
    e2.top < $p4 AND e2.bottom > $p4
  )
  AND NOT (
    e2.source < e1.source
    AND (
      (
        (
          (
            e2.top > $p4 AND e2.bottom < $p4
          )
        ) IS TRUE
      )
      AND (
        (
          (
            e1.top < $p4 AND e1.bottom > $p4
          )
        ) IS TRUE
      )
    )
  )
ORDER BY
  score DESC,
  u4.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC,
  c3 ASC
LIMIT 1001

-- p1 = "mixed4b"
-- p2 = "mixed4c"
-- p3 = "car"
-- p4 = 0.0
