SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.target AS c2,
  e1.rowid AS r0,
  e2.rowid AS r1,
  LEAST(e1.share, e2.share) AS score
FROM edge AS e2
JOIN (
  edge AS e1
    JOIN unit AS u11
      ON e1.source = u11.id
)
  ON e2.source = e1.target
WHERE
  e1.kind <> 'SKIP'
  AND e2.kind <> 'SKIP'
  AND (
    e1.source IN (
      SELECT
        l3.unit_id
      FROM label AS l3
      WHERE
        l3.label = $p1
    )
    AND e1.source IN (
      SELECT
        l4.unit_id
      FROM label AS l4
      WHERE
        CONTAINS(l4.label_folded, $p1)
    )
  )
  AND (
    e1.target IN (
      SELECT
        l5.unit_id
      FROM label AS l5
      WHERE
        l5.label <> $p2
    )
    AND (
      NOT (
        (
          e1.target IN (
            SELECT
              l6.unit_id
            FROM label AS l6
            WHERE
              l6.label IN ($p3, $p4)
          )
        ) IS TRUE
      )
    )
  )
  AND NOT EXISTS(
    SELECT
      1
    FROM label AS l7
    WHERE
      l7.unit_id = e2.target
  )
  AND (
    EXISTS(
      SELECT
        1
      FROM label AS l8
      CROSS JOIN label AS l9
      WHERE
        l8.unit_id = e1.source AND l9.unit_id = e1.target AND l8.label = l9.label
    )
    OR e1.target IN (
      SELECT
        l10.unit_id
      FROM label AS l10
      WHERE
        l10.label >= $p5
    )
  )
ORDER BY
  score DESC,
  u11.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC
LIMIT 1001

-- p1 = "curve"
-- p2 = "dog"
-- p3 = "car"
-- p4 = "wheel"
-- p5 = "d"
