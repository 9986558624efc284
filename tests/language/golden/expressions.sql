SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.target AS c2,
  e1.rowid AS r0,
  e2.rowid AS r1,
  (
    (
      e1.share + e2.share
    ) / NULLIF($p3, 0)
  ) AS score
FROM edge AS e2
JOIN unit AS u4
  ON e2.source = u4.id
JOIN unit AS u5
  ON e2.target = u5.id
JOIN (
  edge AS e1
    JOIN unit AS u3
      ON e1.source = u3.id
)
  ON e2.source = e1.target
WHERE
  e1.kind <> 'SKIP'
  AND e2.kind <> 'SKIP'
  AND (
    u3.index IN ($p1, $p2, $p3)
    AND (
      NOT (
        (
          (
            u3.branch = $p4 OR u3.branch IS NULL
          )
        ) IS TRUE
      )
    )
  )
  AND (
    (
      CAST(u4.mean AS DOUBLE) * $p3
    ) - $p2
  ) >= (
    -(
      $p5
    ) / NULLIF((
      CAST(u4.index AS DOUBLE) + $p2
    ), 0)
  )
  AND (
    u3.key < u5.key AND CONTAINS(u3.layer_folded, $p6)
  )
  AND (
    TRUE AND (
      e1.dx IS NULL OR e1.dx < $p7
    ) AND TRUE
  )
  AND (
    ABS(e1.weight) > $p8 AND e1.rank_in <> $p9
  )
  AND (
    GREATEST(e1.share, e2.share, $p10) > LEAST(e1.share, e2.share)
    AND CASE WHEN e1.weight < 0 THEN -1 ELSE 1 END = SIGN(e2.weight)
  )
ORDER BY
  score DESC,
  u3.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC
LIMIT 1001

-- p1 = 0.0
-- p2 = 1.0
-- p3 = 2.0
-- p4 = "5x5"
-- p5 = 0.5
-- p6 = "mixed"
-- p7 = 10.0
-- p8 = 0.1
-- p9 = 3.0
-- p10 = 0.2
