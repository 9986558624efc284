SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.target AS c2,
  e1.rowid AS r0,
  e2.rowid AS r1,
  e3.rowid AS r2,
  (
    LEAST(e1.share, e2.share, e3.share) * GREATEST(ABS(e1.weight), ABS(e2.weight), ABS(e3.weight))
  ) AS score,
  (
    (
      e1.strength * e1.strength
    ) + (
      e2.strength * e2.strength
    ) + (
      e3.strength * e3.strength
    )
  ) AS ranking
FROM edge AS e1
JOIN (
  edge AS e3
    JOIN unit AS u4
      ON e3.source = u4.id
)
  ON e1.source = e3.source
JOIN edge AS e2
  ON e3.target = e2.target AND e1.target = e2.source
WHERE
  e1.kind <> 'SKIP'
  AND e2.kind <> 'SKIP'
  AND e3.kind = 'SKIP'
  AND (
    (
      e1.share + e2.share + e3.share
    ) > $p1
    AND (
      0 + CASE WHEN (
        (
          e1.share > $p2
        ) IS TRUE
      ) THEN 1 ELSE 0 END + CASE WHEN (
        (
          e2.share > $p2
        ) IS TRUE
      ) THEN 1 ELSE 0 END + CASE WHEN (
        (
          e3.share > $p2
        ) IS TRUE
      ) THEN 1 ELSE 0 END
    ) >= $p3
    AND 3 = $p4
  )
ORDER BY
  ranking ASC,
  u4.model ASC,
  c0 ASC,
  c1 ASC,
  c2 ASC
LIMIT 1001

-- p1 = 0.1
-- p2 = 0.2
-- p3 = 1.0
-- p4 = 3.0
