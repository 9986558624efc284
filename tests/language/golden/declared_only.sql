SELECT
  u1.id AS c0,
  u2.id AS c1,
  u3.id AS c2,
  NULL AS score
FROM unit AS u1
CROSS JOIN unit AS u2
CROSS JOIN unit AS u3
WHERE
  u2.model_id = u1.model_id
  AND u3.model_id = u1.model_id
  AND u1.layer = $p1
  AND u2.layer = $p1
  AND u3.layer IN ($p2, $p3)
  AND u1.id < u2.id
  AND u1.id IN (
    SELECT
      l4.unit_id
    FROM label AS l4
    WHERE
      CONTAINS(l4.label_folded, $p4)
  )
  AND u2.id IN (
    SELECT
      l5.unit_id
    FROM label AS l5
    WHERE
      CONTAINS(l5.label_folded, $p4)
  )
  AND u1.mean = u2.mean
  AND NOT (
    u3.id < u2.id
    AND (
      (
        (
          u3.layer = $p1
        ) IS TRUE
      )
      AND (
        (
          u2.layer IN ($p2, $p3)
        ) IS TRUE
      )
      AND (
        (
          u3.id IN (
            SELECT
              l6.unit_id
            FROM label AS l6
            WHERE
              CONTAINS(l6.label_folded, $p4)
          )
        ) IS TRUE
      )
      AND (
        (
          u1.mean = u3.mean
        ) IS TRUE
      )
    )
  )
  AND NOT (
    u2.id < u1.id
    AND (
      (
        (
          u3.layer = $p1
        ) IS TRUE
      )
      AND (
        (
          u1.layer IN ($p2, $p3)
        ) IS TRUE
      )
      AND (
        (
          u3.id IN (
            SELECT
              l7.unit_id
            FROM label AS l7
            WHERE
              CONTAINS(l7.label_folded, $p4)
          )
        ) IS TRUE
      )
      AND (
        (
          u2.mean = u3.mean
        ) IS TRUE
      )
    )
  )
  AND NOT (
    u3.id < u1.id
    AND (
      (
        (
          u3.layer = $p1
        ) IS TRUE
      )
      AND (
        (
          u2.layer IN ($p2, $p3)
        ) IS TRUE
      )
      AND (
        (
          u3.id IN (
            SELECT
              l8.unit_id
            FROM label AS l8
            WHERE
              CONTAINS(l8.label_folded, $p4)
          )
        ) IS TRUE
      )
      AND (
        (
          u3.mean = u1.mean
        ) IS TRUE
      )
    )
  )
  AND NOT (
    u3.id < u1.id
    AND (
      (
        (
          u3.layer = $p1
        ) IS TRUE
      )
      AND (
        (
          u1.layer IN ($p2, $p3)
        ) IS TRUE
      )
      AND (
        (
          u3.id IN (
            SELECT
              l9.unit_id
            FROM label AS l9
            WHERE
              CONTAINS(l9.label_folded, $p4)
          )
        ) IS TRUE
      )
      AND (
        (
          u3.mean = u2.mean
        ) IS TRUE
      )
    )
  )
ORDER BY
  u1.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC
LIMIT 1001

-- p1 = "mixed3b"
-- p2 = "mixed4a"
-- p3 = "mixed4b"
-- p4 = "dog"
