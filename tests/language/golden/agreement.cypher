MATCH (a:Unit)-[e:EXCITES|INHIBITS]->(b:Unit)-[map_2:MAPS_TO WHERE map_2.map = $p1]->(T_b:Unit)<-[f:EXCITES|INHIBITS]-(T_a:Unit)<-[map:MAPS_TO WHERE map.map = $p1]-(a)
WHERE a <> T_a
  AND a <> T_b
  AND b <> T_a
  AND b <> T_b
  AND ($agreement1[elementId(e) + elementId(f)] > $p2 OR ($agreement2[elementId(e) + elementId(f)] IS NULL))
  AND (NOT (EXISTS { MATCH (a)-[g:EXCITES|INHIBITS]->(z:Unit) WHERE z <> b AND z <> T_a AND z <> T_b AND $agreement3[elementId(e) + elementId(g)] > $p3 }))
WITH *, NOT (T_a.position < a.position AND EXISTS { MATCH (T_a)-[map_3:MAPS_TO WHERE map_3.map = $p1]->(a), (T_b)-[map_4:MAPS_TO WHERE map_4.map = $p1]->(b) WHERE ($agreement4[elementId(f) + elementId(e)] > $p2 OR ($agreement5[elementId(f) + elementId(e)] IS NULL)) AND (NOT (EXISTS { MATCH (T_a)-[g_2:EXCITES|INHIBITS]->(z_2:Unit) WHERE z_2 <> a AND z_2 <> b AND z_2 <> T_b AND $agreement6[elementId(f) + elementId(g_2)] > $p3 })) }) AS holds
WHERE holds
WITH a, b, T_a, T_b, e, f, map, map_2, $agreement7[elementId(e) + elementId(f)] + 0 AS score
ORDER BY score IS NULL, score DESC, a.model, a.position, b.position, T_a.position, T_b.position
LIMIT $p4
RETURN a.key AS u0, b.key AS u1, T_a.key AS u2, T_b.key AS u3, elementId(e) AS e0, elementId(f) AS e1, score
ORDER BY score IS NULL, score DESC, a.model, a.position, b.position, T_a.position, T_b.position

// p1 = "flip"
// p2 = 0.5
// p3 = 0.99
// p4 = 1001
// agreement1: Agreement(left='e', left_maps=('rotate(90)', 'flip'), right='f', right_maps=())
// agreement2: Agreement(left='e', left_maps=(), right='f', right_maps=())
// agreement3: Agreement(left='e', left_maps=(), right='g', right_maps=())
// agreement4: Agreement(left='f', left_maps=('rotate(90)', 'flip'), right='e', right_maps=())
// agreement5: Agreement(left='f', left_maps=(), right='e', right_maps=())
// agreement6: Agreement(left='f', left_maps=(), right='g', right_maps=())
// agreement7: Agreement(left='e', left_maps=('flip_vertical',), right='f', right_maps=())
