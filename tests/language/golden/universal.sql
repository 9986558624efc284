SELECT
  e1.source AS c0,
  e1.target AS c1,
  e2.source AS c2,
  e2.target AS c3,
  LEAST(e1.share, e2.share) AS score
FROM edge AS e1
CROSS JOIN edge AS e2
CROSS JOIN analogue AS m3
CROSS JOIN analogue AS m4
WHERE
  e1.kind <> 'SKIP'
  AND e2.kind <> 'SKIP'
  AND m3.rank <= $p1
  AND m3.target_model_id = $p1
  AND m3.source = e1.source
  AND m3.target = e2.source
  AND m4.rank <= $p1
  AND m4.target_model_id = $p1
  AND m4.source = e1.target
  AND m4.target = e2.target
  AND e1.model_id = $p2
  AND e2.model_id = $p1
  AND m3.source_model_id = $p2
  AND m4.source_model_id = $p2
  AND e1.source <> e2.source
  AND e1.source <> e2.target
  AND e1.target <> e2.source
  AND e1.target <> e2.target
  AND CASE WHEN e1.weight < 0 THEN -1 ELSE 1 END = CASE WHEN e2.weight < 0 THEN -1 ELSE 1 END
ORDER BY
  score DESC,
  c0 ASC,
  c1 ASC,
  c2 ASC,
  c3 ASC
LIMIT 1001

-- p1 = 1
-- p2 = 2
