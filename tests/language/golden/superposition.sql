SELECT
  u1.id AS c0,
  NULL AS score
FROM unit AS u1
WHERE
  u1.id IN (
    SELECT
      l2.unit_id
    FROM label AS l2
    WHERE
      CONTAINS(l2.label_folded, $p1)
  )
  AND NOT EXISTS(
    SELECT
      1
    FROM edge AS e3
    WHERE
      e3.kind = 'EXCITES' AND e3.source = u1.id AND e3.rank_in = $p2
  )
  AND EXISTS(
    SELECT
      1
    FROM edge AS e5
    JOIN edge AS e4
      ON e5.target = e4.target
    WHERE
      e4.kind = 'EXCITES'
      AND e4.source = u1.id
      AND e5.kind = 'EXCITES'
      AND e5.source <> u1.id
      AND e4.share > $p3
      AND (
        e5.rank_in = $p2
        AND (
          NOT (
            (
              e5.source IN (
                SELECT
                  l6.unit_id
                FROM label AS l6
                WHERE
                  CONTAINS(l6.label_folded, $p1)
              )
            ) IS TRUE
          )
        )
      )
  )
ORDER BY
  u1.model ASC,
  c0 ASC
LIMIT 1001

-- p1 = "curve"
-- p2 = 1.0
-- p3 = 0.02
