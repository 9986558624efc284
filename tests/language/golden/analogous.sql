SELECT
  e1.target AS c0,
  e1.source AS c1,
  e2.source AS c2,
  e3.target AS c3,
  e4.target AS c4,
  e4.source AS c5,
  e5.source AS c6,
  e6.target AS c7,
  e1.rowid AS r0,
  e2.rowid AS r1,
  e3.rowid AS r2,
  e4.rowid AS r3,
  e5.rowid AS r4,
  e6.rowid AS r5,
  LEAST(e1.share, e2.share, e3.share) AS score
FROM edge AS e2
JOIN (
  analogue AS m9
    JOIN (
      edge AS e5
        JOIN (
          edge AS e3
            JOIN (
              analogue AS m10
                JOIN (
                  edge AS e6
                    JOIN (
                      unit AS u12
                        JOIN (
                          edge AS e1
                            JOIN (
                              analogue AS m8
                                JOIN (
                                  edge AS e4
                                    JOIN (
                                      unit AS u11
                                        JOIN analogue AS m7
                                          ON u11.id = m7.source
                                    )
                                      ON e4.target = m7.target
                                )
                                  ON m8.target = e4.source
                            )
                              ON e1.source = m8.source AND e1.target = u11.id
                        )
                          ON u12.id = e1.source
                    )
                      ON e6.source = m8.target
                )
                  ON m10.target = e6.target
            )
              ON e3.source = u12.id AND e3.target = m10.source
        )
          ON e5.target = e4.target
    )
      ON m9.target = e5.source
)
  ON e2.source = m9.source AND e2.target = e1.target
WHERE
  e1.kind = 'EXCITES'
  AND e2.kind = 'EXCITES'
  AND e3.kind <> 'SKIP'
  AND e4.kind = 'EXCITES'
  AND e5.kind = 'EXCITES'
  AND e6.kind <> 'SKIP'
  AND m7.rank <= $p1
  AND m7.target_model_id = $p2
  AND m8.rank <= $p1
  AND m8.target_model_id = $p2
  AND m9.rank <= $p1
  AND m9.target_model_id = $p2
  AND m10.rank <= $p1
  AND m10.target_model_id = $p2
  AND e1.model_id = $p3
  AND e2.model_id = $p3
  AND e3.model_id = $p3
  AND e4.model_id = $p2
  AND e5.model_id = $p2
  AND e6.model_id = $p2
  AND m7.source_model_id = $p3
  AND m8.source_model_id = $p3
  AND m9.source_model_id = $p3
  AND m10.source_model_id = $p3
  AND u11.layer = $p4
  AND e1.target <> e3.target
  AND e1.target <> e4.target
  AND e1.target <> e4.source
  AND e1.target <> e5.source
  AND e1.target <> e6.target
  AND e1.source <> e2.source
  AND e1.source <> e4.target
  AND e1.source <> e4.source
  AND e1.source <> e5.source
  AND e1.source <> e6.target
  AND e2.source <> e3.target
  AND e2.source <> e4.target
  AND e2.source <> e4.source
  AND e2.source <> e5.source
  AND e2.source <> e6.target
  AND e3.target <> e4.target
  AND e3.target <> e4.source
  AND e3.target <> e5.source
  AND e3.target <> e6.target
  AND e4.target <> e6.target
  AND e4.source <> e5.source
  AND e5.source <> e6.target
  AND (
    e1.share > $p5 AND u12.layer <> $p6
  )
  AND (
    e2.share > $p5 AND u12.layer <> $p6
  )
  AND (
    e3.rank_in <= $p7 AND e3.coherence > $p8
  )
  AND u11.index < $p9
  AND CASE WHEN e3.weight < 0 THEN -1 ELSE 1 END = CASE WHEN e6.weight < 0 THEN -1 ELSE 1 END
  AND e4.share > $p5
  AND e5.share > $p5
  AND e6.rank_in <= $p7
  AND e6.coherence > $p8
  AND NOT (
    (
      (
        e3.share < $p10
      ) IS TRUE
    )
    AND EXISTS(
      SELECT
        1
      FROM edge AS e13
      WHERE
        e13.kind = 'INHIBITS'
        AND e13.source = e3.target
        AND e13.target = e2.source
        AND e13.model_id = $p3
    )
  )
ORDER BY
  score DESC,
  c0 ASC,
  c1 ASC,
  c2 ASC,
  c3 ASC,
  c4 ASC,
  c5 ASC,
  c6 ASC,
  c7 ASC
LIMIT 21

-- p1 = 3
-- p2 = 2
-- p3 = 1
-- p4 = "mixed4a"
-- p5 = 0.02
-- p6 = "x"
-- p7 = 20.0
-- p8 = 0.0
-- p9 = 5.0
-- p10 = 0.9
